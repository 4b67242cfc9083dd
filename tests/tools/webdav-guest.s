# A guest for tests: it asks for a list of the viewer's shared folder over its serial port, as
# spice-webdavd does over a port of its own. Assembled and booted as qemu-guest.s is.
#
# From physical address 0x10000 it keeps what came: the number of bytes that follow (32 bits), then
# the bytes. It sleeps between interrupts, and asks again while there is no answer.
        .intel_syntax noprefix
        .code16
        .globl _start
_start:
        cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7c00
        mov     ax, 0x1000
        mov     es, ax
        mov     dword ptr es:[0], 0
        mov     di, 4
        mov     word ptr [4 * 0x0c], offset interrupt
        mov     word ptr [4 * 0x0c + 2], 0
        mov     si, offset serial       # ports and bytes
0:      lodsw
        mov     dx, ax
        lodsb
        out     dx, al
        cmp     si, offset serial_end
        jne     0b
        in      al, 0x21                # the serial port's interrupt, beside the BIOS's
        and     al, 0xef
        out     0x21, al
ask:    mov     si, offset request
1:      mov     dx, 0x3fd
        in      al, dx
        test    al, 0x20
        jz      1b
        mov     dx, 0x3f8
        lodsb
        out     dx, al
        cmp     si, offset request_end
        jne     1b
        mov     bx, 36                  # ticks of the timer, two seconds
2:      sti
        hlt
        cmp     dword ptr es:[0], 0
        jne     2b
        dec     bx
        jnz     2b
        jmp     ask

interrupt:
        push    ax
        push    dx
3:      mov     dx, 0x3fd
        in      al, dx
        test    al, 1
        jz      4f
        mov     dx, 0x3f8
        in      al, dx
        cmp     di, 0xfff0              # what is more is lost
        jae     3b
        stosb
        inc     dword ptr es:[0]
        jmp     3b
4:      mov     al, 0x20
        out     0x20, al
        pop     dx
        pop     ax
        iret

        # 115200 baud, 8 bits, FIFO, the interrupt for bytes that came.
serial: .word   0x3fb
        .byte   0x80
        .word   0x3f8
        .byte   1
        .word   0x3f9
        .byte   0
        .word   0x3fb
        .byte   3
        .word   0x3fa
        .byte   0xc7
        .word   0x3f9
        .byte   1
        .word   0x3fc
        .byte   0x0b
serial_end:

        # Of connection 1: its number, how many bytes, those.
request:
        .quad   1
        .word   request_end - http
http:   .ascii  "PROPFIND / HTTP/1.1\r\nHost: localhost\r\nDepth: 1\r\nContent-Length: 0\r\n\r\n"
request_end:
        .org    510
        .word   0xaa55
