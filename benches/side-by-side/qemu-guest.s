# A guest for benches: what it shows is the same for every display. Assembled by
#   as --32 -o guest.o qemu-guest.s; ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o guest.img guest.o
# and booted as a hard disk, without an operating system. It sleeps between interrupts.
#
# Keys: I rests, T scrolls text, V plays a video of 320x200 pixels, both 30 times a second. Any other key, while it
# rests, changes the upper third of the text screen at once.
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
        mov     ax, 3
        int     0x10
        cli
        mov     word ptr [4 * 0x08], offset on_tick
        mov     word ptr [4 * 0x08 + 2], 0
        mov     word ptr [4 * 0x09], offset on_key
        mov     word ptr [4 * 0x09 + 2], 0
        mov     al, 0x34                # the timer: 30 times a second
        out     0x43, al
        mov     al, 0x5d
        out     0x40, al
        mov     al, 0x9b
        out     0x40, al
        mov     al, 0xfc
        out     0x21, al
again:
        sti
        hlt
        cli
        mov     al, byte ptr [key]
        mov     byte ptr [key], 0
        test    al, al
        jz      1f
        js      1f                      # it went up
        call    key_went_down
1:      cmp     byte ptr [tick], 0
        je      again
        mov     byte ptr [tick], 0
        inc     word ptr [time]
        cmp     byte ptr [mode], 0x14
        je      scroll
        cmp     byte ptr [mode], 0x2f
        je      video
        jmp     again

on_tick:
        mov     byte ptr [tick], 1
        push    ax
        jmp     2f
on_key:
        push    ax
        in      al, 0x60
        test    al, al
        js      2f
        mov     byte ptr [key], al
2:      mov     al, 0x20
        out     0x20, al
        pop     ax
        iret

key_went_down:
        mov     bx, 3
        cmp     al, 0x17                # I
        je      3f
        cmp     al, 0x14                # T
        je      3f
        mov     bx, 0x13
        cmp     al, 0x2f                # V
        je      3f
        mov     ax, 0xb800
        mov     es, ax
        xor     di, di
        xor     byte ptr [colour], 0x50
        mov     ah, byte ptr [colour]
        mov     al, 'a'
        mov     cx, 80 * 8
        rep stosw
        ret
3:      mov     byte ptr [mode], al
        mov     ax, bx
        int     0x10
        cli
        cmp     byte ptr [mode], 0x2f
        je      greys
        ret

scroll:
        mov     ax, 0xb800
        mov     es, ax
        mov     ds, ax
        mov     si, 160
        xor     di, di
        mov     cx, 80 * 24
        rep movsw
        xor     ax, ax
        mov     ds, ax
        mov     cx, 80
4:      imul    ebx, dword ptr [noise], 1664525
        add     ebx, 1013904223
        mov     dword ptr [noise], ebx
        shr     ebx, 27                 # one character of 32, some of them spaces
        mov     al, byte ptr [letters + bx]
        mov     ah, 7
        stosw
        loop    4b
        jmp     again

video:                                  # two waves that move, with a little grain
        mov     ax, 0xa000
        mov     es, ax
        xor     di, di
        mov     ebp, dword ptr [noise]
        mov     dx, word ptr [time]     # the rows' wave
5:      mov     bl, dl
        call    wave
        mov     bh, bl
        mov     ax, word ptr [time]     # the columns' wave
        add     ax, ax
        mov     cx, 320
6:      mov     bl, al
        call    wave
        add     bl, bh
        imul    ebp, ebp, 1664525
        add     ebp, 1013904223
        test    ebp, ebp
        js      7f
        xor     bl, 1
7:      mov     byte ptr es:[di], bl
        inc     di
        inc     ax
        loop    6b
        inc     dx
        cmp     di, 64000
        jne     5b
        mov     dword ptr [noise], ebp
        jmp     again
wave:   test    bl, bl                  # 0 to 127 and back
        jns     8f
        not     bl
8:      ret

greys:                                  # the palette, where there is one
        mov     dx, 0x3c8
        xor     ax, ax
        out     dx, al
        inc     dx
9:      mov     al, ah
        shr     al, 2
        out     dx, al
        out     dx, al
        out     dx, al
        inc     ah
        jnz     9b
        ret

letters: .ascii "etaoinshrdlcumwfgypbvk          "
colour: .byte   0x17
mode:   .byte   0x17
key:    .byte   0
tick:   .byte   0
time:   .word   0
noise:  .long   1
        .org    510
        .word   0xaa55
