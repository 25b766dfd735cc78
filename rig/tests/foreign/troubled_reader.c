/* A reader with a card that give trouble when they are told to: a driver for pcscd, for `troubles.sh`.
 *
 *   cc -shared -fPIC -I/usr/include/PCSC -o troubled_reader.so troubled_reader.c
 *
 * DEVICENAME in its reader.conf is a file whose first word is how it behaves from then on:
 *
 *   card       a contactless card that has a directory and nothing else
 *   absent     no card
 *   mute       a card that does not answer to reset
 *   leaves     as `card`, and with the second command it is gone
 *   silent     as `card`, and it does not answer to the second command
 *   short      as `card`, and nothing of extended length is carried
 *   unplugged  with the second command the reader is gone
 *   dies       with the second command pcscd is
 *   hangs      the second command never comes back
 */

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <ifdhandler.h>
#include <reader.h>

static const UCHAR ANSWER_TO_RESET[] = {0x3B, 0x80, 0x80, 0x01, 0x01};
/* The FCI of 2PAY.SYS.DDF01 with one application, A0000000041010, and 9000. */
static const UCHAR DIRECTORY[] = {0x6F, 0x23, 0x84, 0x0E, '2',  'P',  'A',  'Y',  '.',  'S',  'Y',  'S',  '.',
                                  'D',  'D',  'F',  '0',  '1',  0xA5, 0x11, 0xBF, 0x0C, 0x0E, 0x61, 0x0C, 0x4F,
                                  0x07, 0xA0, 0x00, 0x00, 0x00, 0x04, 0x10, 0x10, 0x87, 0x01, 0x01, 0x90, 0x00};
static const UCHAR NO_SUCH_COMMAND[] = {0x6D, 0x00};
enum { LONGEST_SHORT_COMMAND = 261 };

static char device[512];
/* Commands since the card was powered. */
static unsigned commands;
/* What left does not come back before the device is told to behave otherwise. */
static char gone_as[16];

static int behaves(const char *word)
{
    char now[16] = "absent";
    FILE *file = fopen(device, "r");
    if (file) {
        if (fscanf(file, "%15s", now) != 1)
            strcpy(now, "absent");
        fclose(file);
    }
    if (strcmp(now, gone_as))
        gone_as[0] = 0;
    return !strcmp(now, word);
}

static int is_gone(const char *word)
{
    return behaves(word) && !strcmp(gone_as, word);
}

RESPONSECODE IFDHCreateChannelByName(DWORD lun, LPSTR name)
{
    (void)lun;
    snprintf(device, sizeof device, "%s", name);
    return is_gone("unplugged") ? IFD_NO_SUCH_DEVICE : IFD_SUCCESS;
}

RESPONSECODE IFDHCreateChannel(DWORD lun, DWORD channel)
{
    (void)lun, (void)channel;
    return IFD_NOT_SUPPORTED;
}

RESPONSECODE IFDHCloseChannel(DWORD lun)
{
    (void)lun;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHGetCapabilities(DWORD lun, DWORD tag, PDWORD length, PUCHAR value)
{
    (void)lun;
    switch (tag) {
    case TAG_IFD_ATR:
        if (*length < sizeof ANSWER_TO_RESET)
            return IFD_ERROR_INSUFFICIENT_BUFFER;
        memcpy(value, ANSWER_TO_RESET, *length = sizeof ANSWER_TO_RESET);
        return IFD_SUCCESS;
    case TAG_IFD_SLOTS_NUMBER:
    case TAG_IFD_SIMULTANEOUS_ACCESS:
        *length = 1;
        *value = 1;
        return IFD_SUCCESS;
    default:
        return IFD_ERROR_TAG;
    }
}

RESPONSECODE IFDHSetCapabilities(DWORD lun, DWORD tag, DWORD length, PUCHAR value)
{
    (void)lun, (void)tag, (void)length, (void)value;
    return IFD_NOT_SUPPORTED;
}

RESPONSECODE IFDHSetProtocolParameters(DWORD lun, DWORD protocol, UCHAR flags, UCHAR pts1, UCHAR pts2, UCHAR pts3)
{
    (void)lun, (void)protocol, (void)flags, (void)pts1, (void)pts2, (void)pts3;
    return IFD_SUCCESS;
}

RESPONSECODE IFDHICCPresence(DWORD lun)
{
    (void)lun;
    if (is_gone("unplugged"))
        return IFD_NO_SUCH_DEVICE;
    return behaves("absent") || is_gone("leaves") ? IFD_ICC_NOT_PRESENT : IFD_ICC_PRESENT;
}

RESPONSECODE IFDHPowerICC(DWORD lun, DWORD action, PUCHAR answer, PDWORD length)
{
    (void)lun;
    commands = 0;
    *length = 0;
    if (action == IFD_POWER_DOWN)
        return IFD_SUCCESS;
    if (behaves("mute"))
        return IFD_ERROR_POWER_ACTION;
    memcpy(answer, ANSWER_TO_RESET, *length = sizeof ANSWER_TO_RESET);
    return IFD_SUCCESS;
}

/* What the reader says to its second command, if it is to give trouble. */
static RESPONSECODE trouble(void)
{
    if (behaves("dies"))
        raise(SIGKILL);
    while (behaves("hangs"))
        pause();
    if (behaves("leaves") || behaves("unplugged"))
        strcpy(gone_as, behaves("leaves") ? "leaves" : "unplugged");
    if (behaves("unplugged"))
        return IFD_NO_SUCH_DEVICE;
    return behaves("leaves") || behaves("silent") ? IFD_COMMUNICATION_ERROR : IFD_SUCCESS;
}

RESPONSECODE IFDHTransmitToICC(DWORD lun, SCARD_IO_HEADER sent, PUCHAR command, DWORD bytes, PUCHAR answer, PDWORD length,
                               PSCARD_IO_HEADER received)
{
    (void)lun, (void)sent, (void)received;
    int is_select = bytes > 2 && command[1] == 0xA4;
    DWORD room = *length, answers = is_select ? sizeof DIRECTORY : sizeof NO_SUCH_COMMAND;
    RESPONSECODE troubled = ++commands > 1 ? trouble() : IFD_SUCCESS;
    *length = 0;
    if (troubled != IFD_SUCCESS)
        return troubled;
    if (answers > room || (behaves("short") && bytes > LONGEST_SHORT_COMMAND))
        return IFD_COMMUNICATION_ERROR;
    memcpy(answer, is_select ? DIRECTORY : NO_SUCH_COMMAND, *length = answers);
    return IFD_SUCCESS;
}

RESPONSECODE IFDHControl(DWORD lun, DWORD code, PUCHAR sent, DWORD bytes, PUCHAR answer, DWORD room, LPDWORD length)
{
    (void)lun, (void)code, (void)sent, (void)bytes, (void)answer, (void)room;
    *length = 0;
    return IFD_ERROR_NOT_SUPPORTED;
}
