/*
 * Parts migrate, migrate-semi (clients make new channels), migrate-switch (they make a new session)
 * and migrate-cancel: the session moves, or almost moves, to another draw-server, which plays the
 * part arrive. `--to PORT` is where clients reach that one.
 */
#include "draw-server.h"

int migration_port;

static void connect_complete(SpiceMigrateInstance *instance) { (void)instance; }
static void end_complete(SpiceMigrateInstance *instance) { (void)instance; }

static const SpiceMigrateInterface migration_interface = {
    .base = { SPICE_INTERFACE_MIGRATION, "migration", SPICE_INTERFACE_MIGRATION_MAJOR, SPICE_INTERFACE_MIGRATION_MINOR },
    .migrate_connect_complete = connect_complete, .migrate_end_complete = end_complete,
};
static SpiceMigrateInstance migration = { .base.sif = &migration_interface.base };

/* Clients connect to the other server while the virtual machine still runs here. */
static void begin(void) { spice_server_migrate_connect(server, "127.0.0.1", migration_port, -1, NULL); }
static void start(void) { spice_server_migrate_start(server); }
static void stop(void) { spice_server_vm_stop(server); }
static void complete(void) { spice_server_migrate_end(server, TRUE); }
static void cancel(void) { spice_server_migrate_end(server, FALSE); }
/* The oldest way, for applications without a migration interface. */
G_GNUC_BEGIN_IGNORE_DEPRECATIONS
static void switch_host(void)
{
    spice_server_migrate_info(server, "127.0.0.1", migration_port, -1, NULL);
    spice_server_migrate_switch(server);
}
G_GNUC_END_IGNORE_DEPRECATIONS

static void run(void) { spice_server_vm_start(server); }
static void pass(void) { }

Step migrate_steps[] = { begin, TEN(pass), TEN(pass), start, stop, complete, TEN(pass), NULL };
Step cancel_steps[] = { begin, TEN(pass), TEN(pass), start, cancel, TEN(pass), NULL };
Step switch_steps[] = { TEN(pass), switch_host, TEN(pass), NULL };
Step arrive_steps[] = { TEN(pass), TEN(pass), TEN(pass), run, NULL };

void add_migration(gboolean seamless)
{
    spice_server_set_seamless_migration(server, seamless);
    add(&migration.base);
}
