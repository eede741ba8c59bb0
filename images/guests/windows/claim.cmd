@echo off
rem SPDX-License-Identifier: GPL-2.0-or-later
rem What a Windows guest does for Carrel (docs/guests.md): to be installed there as
rem C:\Program Files\Carrel\claim.cmd, with claim.ps1 beside it. The claim comes by standard input.
powershell.exe -NoProfile -NonInteractive -ExecutionPolicy Bypass -File "%~dp0claim.ps1" %1
exit /b %ERRORLEVEL%
