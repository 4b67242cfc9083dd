/* The display device: commands wait in two queues until the library's worker takes them. */
#include "draw-server.h"

QXLInstance qxl;
static GAsyncQueue *drawings, *cursors;

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
static int get_command(QXLInstance *q, QXLCommandExt *c) { (void)q; return take(drawings, c); }
static int get_cursor_command(QXLInstance *q, QXLCommandExt *c) { (void)q; return take(cursors, c); }
static int wait_command(QXLInstance *q) { (void)q; return g_async_queue_length(drawings) <= 0; }
static int wait_cursor(QXLInstance *q) { (void)q; return g_async_queue_length(cursors) <= 0; }

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
    spice_qxl_create_primary_surface(&qxl, 0, &create);
}

static void submit(GAsyncQueue *queue, uint32_t type, void *body)
{
    QXLCommandExt *command = g_new0(QXLCommandExt, 1);
    command->cmd.type = type;
    command->cmd.data = address(body);
    g_async_queue_push(queue, command);
    spice_qxl_wakeup(&qxl);
}

void submit_drawing(uint32_t type, void *body) { submit(drawings, type, body); }
void submit_cursor(void *body) { submit(cursors, QXL_CMD_CURSOR, body); }

void create_display(void)
{
    QXLDevMemSlot slot = { .virt_end = ~0ul, .qxl_ram_size = ~0u };
    drawings = g_async_queue_new();
    cursors = g_async_queue_new();
    qxl.base.sif = &qxl_interface.base;
    add(&qxl.base);
    spice_qxl_add_memslot(&qxl, &slot);
    spice_qxl_set_device_info(&qxl, "pci/0000/02.0", 0, 2);
    create_primary();
}
