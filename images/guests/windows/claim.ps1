# SPDX-License-Identifier: GPL-2.0-or-later
# The words of the claim program (docs/guests.md) for Windows 10 and 11. QEMU's guest agent runs it as
# SYSTEM. The user gets a local account with a random password that is used once, by the automatic
# logon at the console, and his volume as drive U:. A driver for ext4 must be installed: Windows has
# none. Exit statuses are Carrel's; the last line on standard error is shown to people.
param([string]$Word)
$ErrorActionPreference = 'Stop'
$Here = Join-Path $env:ProgramData 'Carrel'
$UserFile = Join-Path $Here 'user'
$Logon = 'HKLM:\SOFTWARE\Microsoft\Windows NT\CurrentVersion\Winlogon'

function Fail([int]$Status, [string]$Text) {
    [Console]::Error.WriteLine($Text)
    exit $Status
}

function Get-ClaimedUser {
    if (Test-Path $UserFile) { (Get-Content $UserFile -Raw).Trim() }
}

# Is somebody logged on under that name?
function Test-Session([string]$User) {
    $names = Get-CimInstance Win32_ComputerSystem | Select-Object -ExpandProperty UserName
    $names -and ($names -split '\\')[-1] -eq $User
}

function Find-Volume([string]$Serial) {
    foreach ($try in 1..40) {
        Update-HostStorageCache
        $disk = Get-Disk | Where-Object { "$($_.SerialNumber)".Trim() -eq $Serial }
        if ($disk) { return $disk }
        Start-Sleep -Milliseconds 500
    }
    Fail 10 "no disk with the serial $Serial came into the guest within 20 s"
}

function Invoke-Claim {
    if (Get-ClaimedUser) { Fail 14 "$(Get-ClaimedUser) is in this desktop already" }
    $claim = [Console]::In.ReadToEnd() | ConvertFrom-Json
    $disk = Find-Volume $claim.volume
    # The volume's file system is ext4, on the whole disk, and is never made here.
    if ($disk.IsOffline) { Set-Disk -Number $disk.Number -IsOffline $false }
    if (-not (Test-Path 'U:\')) {
        Fail 12 "the ext4 driver of the guest has not made drive U: of the disk $($claim.volume)"
    }
    $bytes = New-Object byte[] 24
    [Security.Cryptography.RandomNumberGenerator]::Create().GetBytes($bytes)
    $password = [Convert]::ToBase64String($bytes)
    $secure = ConvertTo-SecureString $password -AsPlainText -Force
    if (Get-LocalUser -Name $claim.user -ErrorAction SilentlyContinue) {
        Set-LocalUser -Name $claim.user -Password $secure
    } else {
        New-LocalUser -Name $claim.user -FullName $claim.full_name -Password $secure | Out-Null
        Add-LocalGroupMember -SID 'S-1-5-32-545' -Member $claim.user
    }
    Set-Content -Path $UserFile -Value $claim.user
    Set-ItemProperty $Logon AutoAdminLogon '1'
    Set-ItemProperty $Logon DefaultUserName $claim.user
    Set-ItemProperty $Logon DefaultPassword $password
    Set-ItemProperty $Logon AutoLogonCount 1 -Type DWord
    # The logon screen begins anew and logs on.
    Get-Process LogonUI -ErrorAction SilentlyContinue | Stop-Process -Force
    foreach ($try in 1..180) {
        if (Test-Session $claim.user) {
            Remove-ItemProperty $Logon DefaultPassword -ErrorAction SilentlyContinue
            Set-ItemProperty $Logon AutoAdminLogon '0'
            return
        }
        Start-Sleep -Milliseconds 500
    }
    Fail 13 "the session of $($claim.user) did not start within 90 s"
}

# The user is logged off, and Windows writes what it has of the volume.
function Invoke-Release {
    $user = Get-ClaimedUser
    if (-not $user) { return }
    $console = [regex]::Match((query.exe session console | Out-String), '\s(\d+)\s').Groups[1].Value
    if ($console) { logoff.exe $console }
    foreach ($try in 1..60) {
        if (-not (Test-Session $user)) { break }
        Start-Sleep -Milliseconds 500
    }
    if (Test-Session $user) { Fail 15 "the session of $user does not end" }
    try { Write-VolumeCache -DriveLetter U } catch { Fail 15 "drive U: cannot be written" }
    mountvol.exe U: /p
    if ($LASTEXITCODE -ne 0) { Fail 15 'drive U: is still in use' }
    Remove-Item $UserFile
}

New-Item -ItemType Directory -Force $Here | Out-Null
switch ($Word) {
    'claim' { Invoke-Claim }
    'release' { Invoke-Release }
    'state' {
        $user = Get-ClaimedUser
        if ($user -and (Test-Session $user)) { "active $user" } else { 'standby' }
    }
    default { Fail 2 'usage: claim.cmd claim|release|state' }
}
