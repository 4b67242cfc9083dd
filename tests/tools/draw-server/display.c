/* The display devices: commands wait in two queues each until the library's worker takes them. */
#include "draw-server.h"

typedef struct {
    QXLInstance qxl;
    GAsyncQueue *drawings, *cursors;
} Display;

static Display displays[2];
QXLInstance *qxl;

static void ignore_attached(QXLInstance *q) { (void)q; }
static void ignore_level(QXLInstance *q, int level) { (void)q, (void)level; }
static void ignore_time(QXLInstance *q, uint32_t time) { (void)q, (void)time; }
static void ignore_update(QXLInstance *q, uint32_t id) { (void)q, (void)id; }
static void ignore_complete(QXLInstance *q, uint64_t cookie) { (void)q, (void)cookie; }
static void ignore_release(QXLInstance *q, struct QXLReleaseInfoExt info) { (void)q, (void)info; }
static int flush_resources(QXLInstance *q) { (void)q; return 0; }
static void ignore_area(QXLInstance *q, uint32_t surface, QXLRect *rects, uint32_t count)
{
    (void)q, (void)surface, (void)rects, (void)count;
}
static void ignore_capabilities(QXLInstance *q, uint8_t present, uint8_t caps[58]) { (void)q, (void)present, (void)caps; }
static int no_monitors(QXLInstance *q, VDAgentMonitorsConfig *config) { (void)q, (void)config; return 0; }

static void init_info(QXLInstance *q, QXLDevInitInfo *info)
{
    (void)q;
    *info = (QXLDevInitInfo){ .num_memslots = 1, .num_memslots_groups = 1, .memslot_id_bits = 1,
                              .memslot_gen_bits = 1, .n_surfaces = 16 };
}

static int take(GAsyncQueue *queue, QXLCommandExt *command)
{
    QXLCommandExt *next = g_async_queue_try_pop(queue);
    if (next)
        *command = *next;
    return next != NULL;
}
static int get_command(QXLInstance *q, QXLCommandExt *c) { return take(((Display *)q)->drawings, c); }
static int get_cursor_command(QXLInstance *q, QXLCommandExt *c) { return take(((Display *)q)->cursors, c); }
static int wait_command(QXLInstance *q) { return g_async_queue_length(((Display *)q)->drawings) <= 0; }
static int wait_cursor(QXLInstance *q) { return g_async_queue_length(((Display *)q)->cursors) <= 0; }

static QXLInterface qxl_interface = {
    .base = { SPICE_INTERFACE_QXL, "draw", SPICE_INTERFACE_QXL_MAJOR, SPICE_INTERFACE_QXL_MINOR },
    .attached_worker = ignore_attached, .set_compression_level = ignore_level, .set_mm_time = ignore_time,
    .get_init_info = init_info, .get_command = get_command, .req_cmd_notification = wait_command,
    .release_resource = ignore_release, .get_cursor_command = get_cursor_command,
    .req_cursor_notification = wait_cursor, .notify_update = ignore_update, .flush_resources = flush_resources,
    .async_complete = ignore_complete, .update_area_complete = ignore_area,
    .set_client_capabilities = ignore_capabilities, .client_monitors_config = no_monitors,
};

void create_primary(void)
{
    QXLDevSurfaceCreate create = { .format = SPICE_SURFACE_FMT_32_xRGB, .width = WIDTH, .height = HEIGHT,
                                   .stride = -WIDTH * 4, .mem = address(g_malloc0(WIDTH * HEIGHT * 4)) };
    spice_qxl_create_primary_surface(qxl, 0, &create);
}

static void submit(GAsyncQueue *queue, uint32_t type, void *body)
{
    QXLCommandExt *command = g_new0(QXLCommandExt, 1);
    command->cmd.type = type;
    command->cmd.data = address(body);
    g_async_queue_push(queue, command);
    spice_qxl_wakeup(qxl);
}

void submit_drawing(uint32_t type, void *body) { submit(((Display *)qxl)->drawings, type, body); }
void submit_cursor(void *body) { submit(((Display *)qxl)->cursors, QXL_CMD_CURSOR, body); }
void use_display(int id) { qxl = &displays[id].qxl; }

void create_display(int id)
{
    QXLDevMemSlot slot = { .virt_end = ~0ul, .qxl_ram_size = ~0u };
    displays[id].drawings = g_async_queue_new();
    displays[id].cursors = g_async_queue_new();
    use_display(id);
    qxl->id = id;
    qxl->base.sif = &qxl_interface.base;
    add(&qxl->base);
    spice_qxl_add_memslot(qxl, &slot);
    spice_qxl_set_device_info(qxl, id ? "pci/0000/03.0" : "pci/0000/02.0", 0, id ? 1 : 2);
    create_primary();
}
