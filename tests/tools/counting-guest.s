# A guest for tests that says how much it gets done: assembled and booted like qemu-guest.s.
#
# It fills the text screen with other letters all the time. For each second of the clock chip it writes a line
# to the first serial port: how many letters that was, in eight hexadecimal digits.
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
        jmp     0, offset main
main:
        mov     ax, 0xb800
        mov     es, ax
        xor     ebx, ebx                # letters of this second
        xor     si, si                  # where the next one goes
        xor     dl, dl                  # the second
work:
        mov     cx, 500
0:      mov     al, bl
        and     al, 0x3f
        add     al, 0x30
        mov     byte ptr es:[si], al
        add     si, 2
        cmp     si, 80 * 25 * 2
        jb      1f
        xor     si, si
1:      inc     ebx
        loop    0b
        xor     al, al
        out     0x70, al
        in      al, 0x71
        cmp     al, dl
        je      work
        mov     dl, al
        push    dx
        mov     cx, 8
2:      rol     ebx, 4
        mov     al, bl
        and     al, 15
        add     al, '0'
        cmp     al, '9'
        jbe     3f
        add     al, 'a' - '9' - 1
3:      mov     dx, 0x3f8
        out     dx, al
        mov     dx, 0x3fd               # until it is sent
4:      in      al, dx
        test    al, 0x20
        jz      4b
        loop    2b
        mov     dx, 0x3f8
        mov     al, 10
        out     dx, al
        pop     dx
        xor     ebx, ebx
        jmp     work
        .org    510
        .word   0xaa55
