/* Parts devices (agent, USB redirection, smart card and ports) and agent. */
#include "draw-server.h"

typedef struct { SpiceCharDeviceInstance instance; GByteArray *pending; } Device;

static void device_state(SpiceCharDeviceInstance *instance, int connected) { (void)instance, (void)connected; }
static void agent_answers(const uint8_t *bytes, int size);
static int device_write(SpiceCharDeviceInstance *instance, const uint8_t *bytes, int size)
{
    if (!strcmp(instance->subtype, "vdagent"))
        agent_answers(bytes, size);
    return size;
}
static int device_read(SpiceCharDeviceInstance *instance, uint8_t *bytes, int size)
{
    GByteArray *pending = ((Device *)instance)->pending;
    int count = pending ? MIN(size, (int)pending->len) : 0;
    if (count > 0) {
        memcpy(bytes, pending->data, count);
        g_byte_array_remove_range(pending, 0, count);
    }
    return count;
}
static void device_event(SpiceCharDeviceInstance *instance, uint8_t event) { (void)instance, (void)event; }

static SpiceCharDeviceInterface device_interface = {
    .base = { SPICE_INTERFACE_CHAR_DEVICE, "device", SPICE_INTERFACE_CHAR_DEVICE_MAJOR, SPICE_INTERFACE_CHAR_DEVICE_MINOR },
    .state = device_state, .write = device_write, .read = device_read, .event = device_event,
};
#define DEVICE(type, name) { .instance = { .base.sif = &device_interface.base, .subtype = type, .portname = name } }
static Device agent = DEVICE("vdagent", NULL), usb = DEVICE("usbredir", NULL), card = DEVICE("smartcard", NULL),
              port = DEVICE("port", "org.example.port.0"), webdav = DEVICE("port", "org.spice-space.webdav.0");

static void device_says(Device *device, const void *bytes, size_t size)
{
    if (!device->pending)
        device->pending = g_byte_array_new();
    g_byte_array_append(device->pending, bytes, size);
    spice_server_char_device_wakeup(&device->instance);
}

static void agent_says(uint32_t type, const void *body, uint32_t size)
{
    struct { VDIChunkHeader chunk; VDAgentMessage message; } __attribute__((packed)) head = {
        .chunk = { .port = VDP_CLIENT_PORT, .size = sizeof(VDAgentMessage) + size },
        .message = { .protocol = VD_AGENT_PROTOCOL, .type = type, .size = size },
    };
    GByteArray *all = g_byte_array_new();
    g_byte_array_append(all, (guint8 *)&head, sizeof head);
    g_byte_array_append(all, body, size);
    device_says(&agent, all->data, all->len);
}

static void agent_capabilities(void)
{
    uint32_t words[2] = { 1, 1 << VD_AGENT_CAP_CLIPBOARD_BY_DEMAND | 1 << VD_AGENT_CAP_CLIPBOARD_SELECTION |
                                 1 << VD_AGENT_CAP_MONITORS_CONFIG | 1 << VD_AGENT_CAP_REPLY |
                                 1 << VD_AGENT_CAP_DISPLAY_CONFIG | 1 << VD_AGENT_CAP_MAX_CLIPBOARD };
    agent_says(VD_AGENT_ANNOUNCE_CAPABILITIES, words, sizeof words);
}

static uint32_t grab[2] = { VD_AGENT_CLIPBOARD_SELECTION_CLIPBOARD, VD_AGENT_CLIPBOARD_UTF8_TEXT };
static void agent_grab(void) { agent_says(VD_AGENT_CLIPBOARD_GRAB, grab, sizeof grab); }

static void agent_clipboard(void)
{
    agent_grab();
    agent_says(VD_AGENT_CLIPBOARD_RELEASE, grab, 4);
}

/* What a guest's agent would say to one message; each comes in a chunk of its own. */
static void agent_answers(const uint8_t *bytes, int size)
{
    struct { VDIChunkHeader chunk; VDAgentMessage message; uint32_t body[2]; } __attribute__((packed)) heard = { 0 };
    memcpy(&heard, bytes, MIN(size, (int)sizeof heard));
    uint32_t reply[2] = { heard.message.type, VD_AGENT_SUCCESS }, status[2] = { heard.body[0], VD_AGENT_FILE_XFER_STATUS_CAN_SEND_DATA };
    uint32_t request[2] = { VD_AGENT_CLIPBOARD_SELECTION_CLIPBOARD, VD_AGENT_CLIPBOARD_UTF8_TEXT };
    struct { uint32_t head[2]; char text[8]; } clipboard = { { request[0], request[1] }, "copied" };
    switch (heard.message.type) {
    case VD_AGENT_MONITORS_CONFIG:
    case VD_AGENT_DISPLAY_CONFIG: agent_says(VD_AGENT_REPLY, reply, sizeof reply); break;
    case VD_AGENT_CLIPBOARD_GRAB: agent_says(VD_AGENT_CLIPBOARD_REQUEST, request, sizeof request); break;
    case VD_AGENT_CLIPBOARD_REQUEST: agent_says(VD_AGENT_CLIPBOARD, &clipboard, sizeof clipboard.head + 6); break;
    case VD_AGENT_FILE_XFER_START: agent_says(VD_AGENT_FILE_XFER_STATUS, status, sizeof status); break;
    case VD_AGENT_FILE_XFER_DATA:
        status[1] = VD_AGENT_FILE_XFER_STATUS_SUCCESS;
        agent_says(VD_AGENT_FILE_XFER_STATUS, status, sizeof status);
        break;
    }
}

static void ports_open(void)
{
    spice_server_port_event(&port.instance, SPICE_PORT_EVENT_OPENED);
    spice_server_port_event(&webdav.instance, SPICE_PORT_EVENT_OPENED);
}

static void ports_speak(void)
{
    static const char webdav_frame[] = "\x07\0\0\0\0\0\0\0\x05\0hello";
    device_says(&port, "a line from the guest\r\n", 23);
    device_says(&webdav, webdav_frame, sizeof webdav_frame - 1);
}

/*
 * A hello of the usbredir protocol, then twenty more of them at once: over a thousand bytes that
 * compress well, which the library therefore sends compressed.
 */
static void usb_speaks(void)
{
    struct { uint32_t type, length, id; char version[64]; uint32_t capabilities; } hello = { .length = 68 };
    GByteArray *many = g_byte_array_new();
    for (int i = 0; i < 20; i++)
        g_byte_array_append(many, (guint8 *)&hello, sizeof hello);
    device_says(&usb, &hello, sizeof hello);
    device_says(&usb, many->data, many->len);
}

static void ports_break(void)
{
    spice_server_port_event(&port.instance, SPICE_PORT_EVENT_BREAK);
    spice_server_port_event(&port.instance, SPICE_PORT_EVENT_CLOSED);
}

static void agent_gone(void) { spice_server_remove_interface(&agent.instance.base); }
static void agent_back(void) { spice_server_add_interface(server, &agent.instance.base); }
static void pause_step(void) { }

Step device_steps[] = { agent_capabilities, agent_clipboard, ports_open, ports_speak, usb_speaks, TEN(pause_step),
                               TEN(pause_step), TEN(pause_step), ports_break, agent_gone, TEN(pause_step), agent_back, NULL };

Step agent_steps[] = { agent_capabilities, agent_grab, NULL };

void add_agent(void) { add(&agent.instance.base); }

void add_devices(void)
{
    Device *devices[] = { &agent, &usb, &card, &port, &webdav };
    for (size_t i = 0; i < G_N_ELEMENTS(devices); i++)
        add(&devices[i]->instance.base);
}
