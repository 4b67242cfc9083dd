/*
 * draw-server: an application of libspice-server that uses what a desktop seldom does, so that
 * recordings hold it: every QXL drawing operation, brush, mask, clip, picture format and cursor
 * type, off-screen surfaces, the picture, palette and cursor caches, sound both ways, and every
 * kind of character device. record-session builds it with
 *
 *   cc -o draw-server *.c $(pkg-config --cflags --libs spice-server glib-2.0)
 *
 *   draw-server --port N [--compression off|auto_glz|auto_lz|quic|glz|lz|lz4] [--part PART] [--to PORT]
 *
 * PART is one of draw (the default), cache, shared-cache, cursor, sound, devices, agent, migrate, migrate-semi,
 * migrate-switch, migrate-cancel, arrive. The server plays the part's
 * steps once, 30 ms apart, after the first display channel is up, and ends after 12 s. It never
 * frees what it hands to the library.
 */
#pragma once
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <glib.h>
#include <glib-unix.h>
#include <spice.h>
#include <spice/enums.h>
#include <spice/protocol.h>
#include <spice/qxl_dev.h>
#include <spice/vd_agent.h>

enum { WIDTH = 128, HEIGHT = 96, CELL = 16 };

#define address(pointer) ((QXLPHYSICAL)(uintptr_t)(pointer))

/* One thing to do with the server; a part is a list of them that ends with NULL. */
typedef void (*Step)(void);
extern Step draw_steps[], cache_steps[], shared_cache_steps[], cursor_steps[], sound_steps[], device_steps[], agent_steps[];
extern Step migrate_steps[], cancel_steps[], switch_steps[], arrive_steps[];

/* main.c */
extern SpiceServer *server;
void add(SpiceBaseInstance *instance);

/* loop.c: the part to play, and the library's view of GLib's main loop. */
extern Step *steps;
extern SpiceCoreInterface core;

/* display.c: the display devices, and the one that steps draw on. */
extern QXLInstance *qxl;
void create_display(int id);
void use_display(int id);
void create_primary(void);
void submit_drawing(uint32_t type, void *body);
void submit_cursor(void *body);

/* sound.c, devices.c, migration.c: what these parts need beside the display. */
extern int migration_port;
void add_sound(void);
void add_devices(void);
void add_agent(void);
void add_migration(gboolean seamless);

#define TEN(step) step, step, step, step, step, step, step, step, step, step
