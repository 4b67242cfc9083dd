# A guest for tests that carries bytes between its two serial ports: assembled and booted like qemu-guest.s.
        .intel_syntax noprefix
        .code16
        .globl _start
_start:
        cli
        xor     ax, ax
        mov     ds, ax
        mov     ss, ax
        mov     sp, 0x7c00
        jmp     0, offset main
main:
        mov     si, 0x3f8
        mov     di, 0x2f8
        mov     bp, 2
setup:                                  # the fastest there is, 8 bits, with queues
        lea     dx, [si + 3]
        mov     al, 0x83
        out     dx, al
        mov     dx, si
        mov     al, 1
        out     dx, al
        inc     dx
        xor     al, al
        out     dx, al
        add     dx, 2
        mov     al, 3
        out     dx, al
        dec     dx
        mov     al, 7
        out     dx, al
        add     dx, 2                   # the other side hears that we are here
        mov     al, 3
        out     dx, al
        xchg    si, di
        dec     bp
        jnz     setup
carry:                                  # one byte from the port SI to the port DI, then the other way
        lea     dx, [si + 5]
        in      al, dx
        test    al, 1
        jz      next
        lea     dx, [di + 5]
        in      al, dx
        test    al, 0x20
        jz      next
        mov     dx, si
        in      al, dx
        mov     dx, di
        out     dx, al
next:   xchg    si, di
        jmp     carry
        .org    510
        .word   0xaa55
