/* Options, the server and its parts. */
#include "draw-server.h"

enum { LIFETIME_S = 12 };

SpiceServer *server;

static const char *const compressions[] = { "invalid", "off", "auto_glz", "auto_lz", "quic", "glz", "lz", "lz4" };
static const struct { const char *name; Step *steps; } parts[] = {
    { "draw", draw_steps }, { "cache", cache_steps },
    { "shared-cache", shared_cache_steps }, { "cursor", cursor_steps }, { "sound", sound_steps },
    { "devices", device_steps }, { "agent", agent_steps }, { "migrate", migrate_steps }, { "migrate-semi", migrate_steps },
    { "migrate-cancel", cancel_steps }, { "migrate-switch", switch_steps }, { "arrive", arrive_steps },
};

static gboolean end(gpointer data)
{
    (void)data;
    _exit(0);
}

void add(SpiceBaseInstance *instance)
{
    if (spice_server_add_interface(server, instance)) {
        fprintf(stderr, "draw-server: the library refuses a %s\n", instance->sif->type);
        exit(2);
    }
}

static void add_part(const char *name)
{
    for (size_t i = 0; i < G_N_ELEMENTS(parts); i++)
        if (!strcmp(parts[i].name, name))
            steps = parts[i].steps;
    if (!steps) {
        fprintf(stderr, "draw-server: no part %s\n", name);
        exit(2);
    }
    if (steps == shared_cache_steps)
        create_display(1);
    if (steps == sound_steps)
        add_sound();
    if (steps == agent_steps)
        add_agent();
    if (steps == device_steps)
        add_devices();
    if (steps == migrate_steps || steps == cancel_steps || steps == arrive_steps)
        add_migration(strcmp(name, "migrate-semi") != 0);
}

int main(int argc, char **argv)
{
    static const uint8_t uuid[16] = "draw-server uuid";
    const char *part = "draw";
    server = spice_server_new();
    for (int i = 1; i + 1 < argc; i += 2) {
        if (!strcmp(argv[i], "--port"))
            spice_server_set_port(server, atoi(argv[i + 1]));
        if (!strcmp(argv[i], "--part"))
            part = argv[i + 1];
        if (!strcmp(argv[i], "--to"))
            migration_port = atoi(argv[i + 1]);
        for (int c = 1; !strcmp(argv[i], "--compression") && c < (int)G_N_ELEMENTS(compressions); c++)
            if (!strcmp(argv[i + 1], compressions[c]))
                spice_server_set_image_compression(server, c);
    }
    spice_server_set_addr(server, "127.0.0.1", 0);
    spice_server_set_noauth(server);
    spice_server_set_name(server, "draw-server");
    spice_server_set_uuid(server, uuid);
    spice_server_set_agent_mouse(server, 0);
    spice_server_set_jpeg_compression(server, SPICE_WAN_COMPRESSION_NEVER);
    spice_server_set_zlib_glz_compression(server, SPICE_WAN_COMPRESSION_NEVER);
    if (spice_server_init(server, &core)) {
        fprintf(stderr, "draw-server: the library does not start\n");
        return 2;
    }
    create_display(0);
    add_part(part);
    if (steps != arrive_steps)
        spice_server_vm_start(server);
    g_timeout_add_seconds(LIFETIME_S, end, NULL);
    g_main_loop_run(g_main_loop_new(NULL, FALSE));
    return 0;
}
