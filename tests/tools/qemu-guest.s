# A guest for tests: it paints, and notes what its keyboard and its mouse say. Assembled by
#   as --32 -o guest.o qemu-guest.s; ld -m elf_i386 -Ttext 0x7c00 --oformat binary -o guest.img guest.o
# and booted as a hard disk on QEMU's `pc` machine, without an operating system. It sleeps between
# interrupts, so many of it may run at once.
#
# From physical address 0x10000 it keeps a log: the number of bytes that follow (32 bits), then
# entries of one letter and its data:
#   K byte                   a byte from the keyboard, as it came
#   M byte                   a byte from the PS/2 mouse (with a wheel and five buttons)
#   A buttons x y wheel      from the vmmouse, four words of 16 bits
#   B byte                   a break on the serial port
# Each keyboard byte is written to the screen, too. Some keys are commands:
#   F1 text screen   F2 320x200   F3 640x480   F4 800x600, each with a pattern of its own
#   F5 positions (vmmouse)   F6 motion again   Caps Lock turns its light on or off
#   F7 a tone of 1000 Hz     F8 silence
#   F9 offers text to the agent of `-chardev qemu-vdagent` on the second serial port, F10 gives it
# What the first serial port says is said back.
        .intel_syntax noprefix
        .code16
        .globl _start
_start:
        cli
        cld
        xor     ax, ax
        mov     ds, ax
        mov     es, ax
        mov     ss, ax
        mov     sp, 0x7c00
        jmp     0, offset load
load:
        mov     ax, 0x0203              # the rest of the program: three more sectors
        mov     bx, 0x7e00
        mov     cx, 2
        xor     dh, dh                  # of the disk that this one came from
        sti
        int     0x13
        cli
        jmp     main
        .org    510
        .word   0xaa55

main:
        mov     ax, 0x1000
        mov     fs, ax
        mov     dword ptr fs:[0], 0
        call    text
        mov     word ptr [4 * 0x09], offset interrupt
        mov     word ptr [4 * 0x09 + 2], 0
        mov     word ptr [4 * 0x74], offset interrupt
        mov     word ptr [4 * 0x74 + 2], 0
        mov     word ptr [4 * 0x0c], offset interrupt
        mov     word ptr [4 * 0x0c + 2], 0
        mov     si, offset serial       # ports and bytes
0:      lodsw
        mov     dx, ax
        lodsb
        out     dx, al
        cmp     si, offset serial_end
        jne     0b
        mov     al, 0xe8                # timer, keyboard, the second controller, serial port
        out     0x21, al
        mov     al, 0xef                # the mouse
        out     0xa1, al
        mov     al, 0xa8                # the mouse is connected
        call    command
        mov     al, 0x60                # both interrupt
        call    command
        mov     al, 0x47
        call    keyboard
        mov     si, offset knock
1:      lodsb
        test    al, al
        jz      2f
        call    mouse
        jmp     1b
2:      mov     si, offset hello
3:      lodsb
        test    al, al
        jz      poll
        call    put
        jmp     3b
interrupt:
        push    ax
        mov     al, 0x20
        out     0xa0, al
        out     0x20, al
        pop     ax
        iret

# --- the loop ---------------------------------------------------------------------------------
poll:
        cmp     byte ptr [absolute], 0
        je      1f
        call    vmmouse
1:      mov     dx, 0x3fd
        in      al, dx
        test    al, 0x10
        jnz     pause
        test    al, 1
        jz      3f
        mov     dx, 0x3f8
        in      al, dx
        mov     ah, al
        mov     dx, 0x3fd               # until it has sent what it was given
4:      in      al, dx
        test    al, 0x20
        jz      4b
        mov     al, ah
        mov     dx, 0x3f8
        out     dx, al
        jmp     1b
3:      in      al, 0x64
        test    al, 1
        jnz     2f
        sti
        hlt
        cli
        jmp     poll
2:
        mov     ah, al
        in      al, 0x60
        test    ah, 0x20
        jnz     from_mouse
        cmp     al, 0xfa                # the keyboard's answer to a command
        je      poll
        mov     dl, 'K'
        call    note
        push    ax
        call    hex
        pop     ax
        call    act
        jmp     poll
pause:                                  # reading it ends it
        mov     dx, 0x3f8
        in      al, dx
        mov     dl, 'B'
        call    note
        jmp     poll
from_mouse:
        mov     dl, 'M'
        call    note
        jmp     poll

# What a key does: AL is its byte.
act:
        cmp     al, 0x3b
        je      text
        cmp     al, 0x3c
        je      low
        cmp     al, 0x3d
        je      middle
        cmp     al, 0x3e
        je      high
        cmp     al, 0x3f
        je      positions
        cmp     al, 0x40
        je      motion
        cmp     al, 0x41
        je      tone
        cmp     al, 0x42
        je      silence
        cmp     al, 0x43
        je      offer
        cmp     al, 0x44
        je      give
        cmp     al, 0x3a
        je      caps
        ret
offer:
        mov     si, offset offered
        mov     cx, offset (offered_end - offered)
        jmp     tell
give:
        mov     si, offset given
        mov     cx, offset (given_end - given)
tell:                                   # CX bytes from SI to the agent
        mov     dx, 0x2fd
1:      in      al, dx
        test    al, 0x20
        jz      1b
        lodsb
        mov     dx, 0x2f8
        out     dx, al
        loop    tell
        ret
tone:
        mov     al, 0xb6
        out     0x43, al
        mov     al, 1193 & 0xff
        out     0x42, al
        mov     al, 1193 >> 8
        out     0x42, al
        in      al, 0x61
        or      al, 3
        out     0x61, al
        ret
silence:
        in      al, 0x61
        and     al, 0xfc
        out     0x61, al
        ret
text:
        mov     ax, 3
        int     0x10
        mov     ax, 0x0100              # without a cursor, which would blink
        mov     cx, 0x2000
        int     0x10
        ret
low:
        mov     ax, 0x13
        int     0x10
        mov     dl, 1
        jmp     paint
middle:
        mov     ax, 0x12
        int     0x10
        mov     dl, 7
        jmp     paint
high:
        mov     ax, 0x4f02
        mov     bx, 0x103
        int     0x10
        xor     dx, dx
1:      mov     ax, 0x4f05
        xor     bx, bx
        push    dx
        int     0x10
        pop     dx
        call    paint
        inc     dx
        cmp     dx, 8
        jne     1b
        ret

# Fills the 64 KiB window of the screen; DL makes the pattern another one.
paint:
        mov     ax, 0xa000
        mov     es, ax
        xor     di, di
1:      mov     ax, di
        shr     ax, 4
        xor     al, ah
        add     al, dl
        stosb
        test    di, di
        jnz     1b
        xor     ax, ax
        mov     es, ax
        ret

caps:
        xor     byte ptr [lights], 4
        mov     al, 0xed
        call    keyboard
        mov     al, [lights]
keyboard:
        mov     bl, al
1:      in      al, 0x64
        test    al, 2
        jnz     1b
        mov     al, bl
        out     0x60, al
        ret

# --- the vmmouse, through VMware's port -------------------------------------------------------
positions:
        mov     ebx, 0x45414552
        mov     cx, 41
        call    vmware
        mov     ebx, 1                  # its version
        mov     cx, 39
        call    vmware
        mov     ebx, 0x53424152
        mov     cx, 41
        call    vmware
        mov     byte ptr [absolute], 1
        ret
motion:
        mov     ebx, 0x4c455252
        mov     cx, 41
        call    vmware
        mov     byte ptr [absolute], 0
        ret
vmmouse:
        mov     cx, 40
        call    vmware
        cmp     ax, 4
        jb      1f
        mov     ebx, 4
        mov     cx, 39
        call    vmware
        push    dx
        push    cx
        push    bx
        mov     dl, 'A'
        call    note1
        call    note2
        pop     ax
        call    note2
        pop     ax
        call    note2
        pop     ax
        jmp     note2
1:      ret
vmware:
        mov     eax, 0x564d5868
        movzx   ecx, cx
        mov     dx, 0x5658
        in      eax, dx
        ret

# --- the log ----------------------------------------------------------------------------------
note:                                   # the letter in DL, then the byte in AL
        call    note1
        jmp     append
note1:                                  # the letter in DL
        push    ax
        mov     al, dl
        call    append
        pop     ax
        ret
note2:                                  # the word in AX
        call    append
        mov     al, ah
append:                                 # the byte in AL
        mov     di, fs:[0]
        cmp     di, 0xfff0
        jae     1f
        mov     fs:[di + 4], al
        inc     dword ptr fs:[0]
1:      ret

# --- the screen and the controller ------------------------------------------------------------
hex:                                    # the byte in AL
        push    ax
        shr     al, 4
        call    digit
        pop     ax
        and     al, 15
        call    digit
        mov     al, ' '
        jmp     put
digit:
        cmp     al, 10
        jb      put_digit
        add     al, 'a' - '0' - 10
put_digit:
        add     al, '0'
put:
        mov     ah, 0x0e
        mov     bx, 7
        int     0x10
        ret
command:
        mov     bl, al
1:      in      al, 0x64
        test    al, 2
        jnz     1b
        mov     al, bl
        out     0x64, al
        ret
mouse:                                  # a byte for it in AL; its answer is read away
        push    ax
        mov     al, 0xd4
        call    command
        pop     ax
        call    keyboard
1:      in      al, 0x64
        test    al, 1
        jz      1b
        in      al, 0x60
        ret

knock:  .byte   0xf3, 200, 0xf3, 100, 0xf3, 80          # it has a wheel
        .byte   0xf3, 200, 0xf3, 200, 0xf3, 80          # and five buttons
        .byte   0xf4, 0
serial: .word   0x3fb                                   # 115200 baud, 8 bits
        .byte   0x83
        .word   0x3f8
        .byte   1
        .word   0x3f9
        .byte   0
        .word   0x3fb
        .byte   3
        .word   0x3fa                                   # queues, and an interrupt for each byte
        .byte   1
        .word   0x3fc
        .byte   0x0b
        .word   0x3f9
        .byte   1
serial_end:
# Each message: a chunk (port 1, size), its head (protocol 1, type, 0, 0, size), its body.
offered:
        .long   1, 28, 1, 6, 0, 0, 8, 0, 0x20060        # by demand, for selections, with serials
        .long   1, 32, 1, 7, 0, 0, 12, 0, 1, 1          # the clipboard, serial 1, text
offered_end:
given:  .long   1, 20 + 8 + 15, 1, 4, 0, 0, 8 + 15, 0, 1
        .ascii  "From-the-guest."
given_end:
hello:  .asciz  "Hello from the guest. "
absolute: .byte 0
lights: .byte   0
        .org    2048
