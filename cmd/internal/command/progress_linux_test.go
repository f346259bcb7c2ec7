package command

import (
	"os"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"github.com/gapbundle/gapbundle/internal/test/pty"
)

func setWidth(t *testing.T, f *os.File, columns uint16) {
	t.Helper()
	if err := unix.IoctlSetWinsize(int(f.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Row: 24, Col: columns}); err != nil {
		t.Fatal(err)
	}
}

// TestBarSurvivesResize: after the terminal became narrower, what was left of the old bar
// is wiped and no line of the bar is wider than the terminal; wider again, it grows.
func TestBarSurvivesResize(t *testing.T) {
	defer goleak.VerifyNone(t)
	person, tty := pty.Open(t)
	setWidth(t, tty, 120)
	pieces := make(chan string)
	go func() {
		defer close(pieces)
		buf := make([]byte, 4096)
		for {
			n, err := person.Read(buf)
			pieces <- string(buf[:n])
			if err != nil {
				return
			}
		}
	}()
	var shown string
	o := &Output{stdout: os.Stdout, stderr: tty}
	o.useLog("text", "info")
	p := o.StartProgress()
	p.Grow(100 << 20)
	p.Item("reading index of debian: Packages.xz, 34.0 MiB")
	// drawn waits for a bar of another width that names what is read.
	drawn := func(narrowest, widest int) {
		t.Helper()
		for piece := range pieces { // the bar is drawn again and again
			p.Add(1)
			shown += piece
			bars := regexp.MustCompile(`[^\r\n\x1b]*\[[^\r\n\x1b]*`).FindAllString(shown, -1)
			if len(bars) < 2 {
				continue
			}
			last := bars[len(bars)-2] // whole in any case
			if n := utf8.RuneCountInString(last); n >= narrowest && n <= widest && strings.Contains(last, "4.0 MiB") {
				return
			}
			if len(shown) > 64<<10 {
				break
			}
		}
		t.Fatalf("no bar of %d to %d columns: %q", narrowest, widest, shown)
	}
	drawn(100, 119)
	setWidth(t, tty, 72)
	drawn(40, 71)
	if !strings.Contains(shown, "\x1b[1A\r\x1b[J") {
		t.Errorf("the second line of the old bar was not wiped: %q", shown)
	}
	setWidth(t, tty, 140)
	drawn(120, 139)
	if !regexp.MustCompile(`B/s [0-9]\w* left `).MatchString(shown) {
		t.Errorf("no rate, or no time that is left: %q", shown)
	}
	p.Open("choosing what is carried of debian")
	for piece := range pieces { // the sum is not known: neither a part of it nor a remaining time
		last := piece[strings.LastIndexByte(piece, '\r')+1:]
		if strings.Contains(last, "carried of debian") {
			if strings.Contains(last, "%") || strings.Contains(last, "left") || !strings.Contains(last, " read ") {
				t.Errorf("the sum is not known: %q", last)
			}
			break
		}
	}
	go func() {
		p.Stop()
		tty.Close() // which ends the reading
	}()
	for range pieces {
	}
}
