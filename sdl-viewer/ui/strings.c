/* SPDX-License-Identifier: GPL-2.0-or-later */
#include "sdl-viewer/ui/strings.h"

#include <stdio.h>
#include <string.h>

/* clang-format off */
static const char *const strings[STR_COUNT][LANGUAGE_COUNT] = {
	[STR_USER] = {"User name", "사용자 이름"},
	[STR_PASSWORD] = {"Password", "비밀번호"},
	[STR_LOG_IN] = {"Log in", "로그인"},
	[STR_CAPS_LOCK] = {"Caps lock is on", "Caps Lock이 켜져 있습니다"},
	[STR_FORM_HINT] = {"Tab: next field   Enter: log in   Hangul key: 한/A",
		"Tab: 다음 칸   Enter: 로그인   한/영 키: 한글 전환"},
	[STR_HELLO] = {"Looking for the server…", "서버를 찾는 중…"},
	[STR_HELLO_FAILED] = {"The server does not answer. Trying again…",
		"서버가 응답하지 않습니다. 다시 시도합니다…"},
	[STR_UNREACHABLE] = {"The server does not answer. Please try again.",
		"서버가 응답하지 않습니다. 다시 시도하십시오."},
	[STR_HELD] = {"This PC waits for approval. Tell the room's administrator.",
		"이 PC는 승인을 기다리고 있습니다. 관리자에게 알려 주십시오."},
	[STR_DENIED] = {"User name or password is wrong.", "사용자 이름 또는 비밀번호가 틀립니다."},
	[STR_EMPTY_USER] = {"Please enter your user name.", "사용자 이름을 입력하십시오."},
	[STR_LOGGING_IN] = {"Logging in", "로그인 중"},
	[STR_STAGE_SENDING] = {"Asking the server", "서버에 요청하는 중"},
	[STR_STAGE_AUTHENTICATING] = {"Checking the password", "비밀번호 확인 중"},
	[STR_STAGE_PLACING] = {"Choosing a place for the desktop", "데스크톱을 배치하는 중"},
	[STR_STAGE_WAITING] = {"Waiting for a desktop", "데스크톱을 기다리는 중"},
	[STR_STAGE_QUEUED] = {"All desktops are taken: waiting in line",
		"데스크톱이 모두 사용 중: 차례를 기다리는 중"},
	[STR_QUEUE_MINUTES] = {"You are number %1$u; your turn is in about %2$u min",
		"현재 %1$u번째이며, 약 %2$u분 남았습니다"},
	[STR_QUEUE_UNKNOWN] = {"You are number %u; the time cannot be estimated yet",
		"현재 %u번째이며, 남은 시간은 아직 알 수 없습니다"},
	[STR_STAGE_STARTING] = {"Starting the desktop", "데스크톱을 시작하는 중"},
	[STR_STAGE_CLAIMING] = {"Preparing your files", "파일을 준비하는 중"},
	[STR_STAGE_CONNECTING] = {"Connecting to the desktop", "데스크톱에 연결하는 중"},
	[STR_LOST] = {"The connection was lost", "연결이 끊어졌습니다"},
	[STR_LOST_HINT] = {"Your programs go on. Reconnecting…",
		"프로그램은 계속 실행 중입니다. 다시 연결하는 중…"},
	/* The last word is STR_HANDOFF_SECONDS or STR_HANDOFF_NOW. */
	[STR_HANDOFF_SMALLER] = {"Your desktop moves to a smaller one (from %1$u to %2$u MiB) %3$s.",
		"%3$s 더 작은 데스크톱으로 옮겨집니다 (%1$u MiB에서 %2$u MiB로)."},
	[STR_HANDOFF_LARGER] = {"Your desktop moves to a larger one (from %1$u to %2$u MiB) %3$s.",
		"%3$s 더 큰 데스크톱으로 옮겨집니다 (%1$u MiB에서 %2$u MiB로)."},
	[STR_HANDOFF_OTHER] = {"Your desktop moves to another one %s.",
		"%s 다른 데스크톱으로 옮겨집니다."},
	[STR_HANDOFF_SECONDS] = {"in %u s", "%u초 후"},
	[STR_HANDOFF_NOW] = {"now", "지금"},
	[STR_HANDOFF_SAVE] = {"Your files stay; open programs are closed. Save your work.",
		"파일은 그대로 남고 열린 프로그램은 닫힙니다. 작업을 저장하십시오."},
	[STR_HANDOFF_CHORD] = {"Ctrl + Alt + Shift + M: move now",
		"Ctrl + Alt + Shift + M: 지금 옮기기"},
	[STR_HANDOFF_ASKED] = {"The server has been asked to move you now.",
		"지금 옮기도록 서버에 요청했습니다."},
	[STR_HANDOFF_CANCELLED] = {"Your desktop stays as it is.",
		"데스크톱이 그대로 유지됩니다."},
	[STR_HANDOFF_DONE] = {"This is your new desktop. Your files are here.",
		"새 데스크톱입니다. 파일은 그대로 있습니다."},
	[STR_MOVING] = {"Your desktop is moving", "데스크톱을 옮기는 중"},
	[STR_MOVING_BEGIN] = {"Closing the programs, keeping your files",
		"프로그램을 닫고 파일을 보관하는 중"},
	[STR_MOVING_HINT] = {"The picture stands still; keys and mouse do nothing until it is done.",
		"화면은 멈춰 있으며, 끝날 때까지 키보드와 마우스는 동작하지 않습니다."},
	[STR_REFUSED] = {"The login could not be completed", "로그인할 수 없습니다"},
	[STR_MOVED] = {"Your desktop has moved", "다른 자리에서 로그인했습니다"},
	[STR_MOVED_HINT] = {"It is now shown at another seat.",
		"데스크톱이 이제 다른 자리에 표시됩니다."},
	[STR_ENDED] = {"The session has ended", "세션이 끝났습니다"},
	[STR_ENDED_LOGOUT] = {"You are logged out", "로그아웃되었습니다"},
	[STR_TOKEN_GONE] = {"Please log in again", "다시 로그인하십시오"},
	[STR_UNSAFE] = {"The desktop could not be verified", "데스크톱을 확인할 수 없습니다"},
	[STR_UNSAFE_HINT] = {"Nothing was sent to it. Please tell the staff.",
		"아무 정보도 보내지 않았습니다. 관리자에게 알려 주십시오."},
	[STR_CONFIRM] = {"Press Enter to go on", "계속하려면 Enter 키를 누르십시오"},
	[STR_MENU] = {"What would you like to do?", "무엇을 하시겠습니까?"},
	[STR_MENU_BACK] = {"Go back", "돌아가기"},
	[STR_MENU_MOVE_NOW] = {"Move to the other desktop now", "지금 다른 데스크톱으로 옮기기"},
	[STR_MENU_DISCONNECT] = {"Leave this seat, keep my programs running",
		"자리 떠나기 (프로그램은 계속 실행)"},
	[STR_MENU_LOGOUT] = {"Log out and end my programs", "로그아웃 (프로그램 종료)"},
	[STR_MENU_HINT] = {"Arrow keys: choose   Enter: do it   Esc: back",
		"화살표 키: 선택   Enter: 실행   Esc: 돌아가기"},
	[STR_CHORD] = {"Ctrl + Alt + Shift + Q: leave or log out",
		"Ctrl + Alt + Shift + Q: 자리 떠나기, 로그아웃"},
	[STR_SEAT] = {"Seat", "자리"},
};
/* clang-format on */

const char *string_get(enum language language, enum string_id id)
{
	return strings[id][language];
}

enum language language_parse(const char *name)
{
	if (strncmp(name, "ko", 2) == 0 && (name[2] == 0 || name[2] == '-' || name[2] == '_'))
		return LANGUAGE_KO;
	return LANGUAGE_EN;
}

void string_of_queue(
	char *out, size_t size, enum language language, unsigned position, unsigned minutes)
{
	if (minutes > 0)
		snprintf(out, size, string_get(language, STR_QUEUE_MINUTES), position, minutes);
	else
		snprintf(out, size, string_get(language, STR_QUEUE_UNKNOWN), position);
}

void string_of_handoff(char *out, size_t size, enum language language, unsigned from_mib,
	unsigned size_mib, unsigned seconds)
{
	char when[32];

	snprintf(when, sizeof(when),
		string_get(language, seconds > 0 ? STR_HANDOFF_SECONDS : STR_HANDOFF_NOW), seconds);
	if (from_mib == 0 || size_mib == 0 || from_mib == size_mib)
		snprintf(out, size, string_get(language, STR_HANDOFF_OTHER), when);
	else
		snprintf(out, size,
			string_get(language,
				size_mib < from_mib ? STR_HANDOFF_SMALLER : STR_HANDOFF_LARGER),
			from_mib, size_mib, when);
}

enum string_id string_of_stage(const char *stage)
{
	static const struct {
		const char *name;
		enum string_id id;
	} stages[] = {{"authenticating", STR_STAGE_AUTHENTICATING}, {"placing", STR_STAGE_PLACING},
		{"waiting", STR_STAGE_WAITING}, {"queued", STR_STAGE_QUEUED},
		{"starting", STR_STAGE_STARTING}, {"claiming", STR_STAGE_CLAIMING},
		{"connecting", STR_STAGE_CONNECTING}};

	for (size_t i = 0; i < sizeof(stages) / sizeof(stages[0]); i++)
		if (strcmp(stages[i].name, stage) == 0)
			return stages[i].id;
	return STR_LOGGING_IN;
}
