package command

import (
	"path"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/cheggaaa/pb/v3"
	"golang.org/x/term"
)

// Where there is no terminal, the first line of progress comes after progressFirst, and
// further ones each progressInterval.
const (
	progressFirst    = time.Second
	progressInterval = 5 * time.Second
)

// Progress shows how work advances; it is a bundle.Progress.
type Progress struct {
	out *Output
	bar *pb.ProgressBar // nil: lines
	// width is how many columns the terminal has, room how many of the bar's line are left
	// for items.
	width, room int

	mu          sync.Mutex
	total, done int64
	items       [2]string // what was begun last, the newest last
	open        bool      // the sum of what is to be done is not known yet
	started     time.Time
	lastDone    int64
	lastTime    time.Time

	stopOnce sync.Once
	quit     chan struct{}
	ended    chan struct{}
}

// StartProgress shows progress until stop is called: nothing with --quiet, a
// bar on a terminal, a line every few seconds elsewhere.
func (o *Output) StartProgress() *Progress {
	now := time.Now()
	p := &Progress{out: o, started: now, lastTime: now, quit: make(chan struct{}), ended: make(chan struct{})}
	if o.quiet {
		close(p.ended)
		return p
	}
	if o.terminal >= 0 && !o.logJSON {
		p.startBar()
		go p.watchWidth()
		return p
	}
	go func() {
		defer close(p.ended)
		tick := time.NewTimer(progressFirst)
		defer tick.Stop()
		for {
			select {
			case now := <-tick.C:
				p.line(now)
				tick.Reset(progressInterval)
			case <-p.quit:
				return
			}
		}
	}()
	return p
}

// barWidth is the most columns that everything but the items takes, with a
// bar of a few; openWidth the same where the sum is not known.
const (
	barWidth  = 68
	openWidth = 40
)

const (
	barTemplate  = `{{counters .}} {{bar .}} {{percent .}} {{speed . "%s/s" "?"}} {{rtime . "%s left" "%s" "?"}} {{string . "items"}}`
	openTemplate = `{{counters . "%[1]s read" "%[1]s read"}} {{cycle . "-" "\\" "|" "/"}} {{speed . "%s/s" "?"}} {{string . "items"}}`
)

// setWidth divides the columns of the terminal between the bar and the items.
func (p *Progress) setWidth(width int) {
	p.width, p.room = width, max(width-barWidth, 8)
	if p.open {
		p.room = max(width-openWidth, 8)
	}
}

func (p *Progress) startBar() {
	width := p.out.width()
	p.setWidth(width)
	p.out.Screen.setBar(true)
	p.bar = pb.ProgressBarTemplate(barTemplate).New(0)
	p.bar.SetWriter(barLine{p.out.Screen}).SetWidth(width-1).Set(pb.Bytes, true).Set(pb.Terminal, true).
		Set(pb.ReturnSymbol, "\r").Set(pb.CleanOnFinish, true).Start()
}

// resizeInterval is how often the width of the terminal is looked at: no signal reports it
// on every system.
const resizeInterval = 200 * time.Millisecond

// watchWidth lets the bar follow the width of the terminal, until Stop.
func (p *Progress) watchWidth() {
	defer close(p.ended)
	tick := time.NewTicker(resizeInterval)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.resize(p.out.width())
		case <-p.quit:
			return
		}
	}
}

// resize draws the bar again in another width. A terminal that became narrower has broken
// the old bar into several lines, which are wiped.
func (p *Progress) resize(width int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if width == p.width {
		return
	}
	p.out.Screen.wipe((p.width - 2) / width)
	p.setWidth(width)
	p.bar.SetWidth(width - 1)
	p.bar.Set("items", p.current())
	p.bar.Write()
}

// width returns how many columns the terminal has.
func (o *Output) width() int {
	width, _, err := term.GetSize(o.terminal)
	if err != nil || width < 20 {
		return 80
	}
	return width
}

// Grow counts bytes that are to be done. Grow, Add and Item are bundle.Progress.
func (p *Progress) Grow(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	first := p.total == 0
	p.total += bytes
	if p.bar != nil {
		p.bar.SetTotal(p.total)
	}
	if p.bar != nil && first {
		p.bar.Write() // before its first refresh: short work shows one too
	}
}

// Add counts bytes that are done.
func (p *Progress) Add(bytes int64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done += bytes
	if p.bar != nil {
		p.bar.SetCurrent(p.done)
	}
}

// Item names what is worked on.
func (p *Progress) Item(name string) { p.item(name, false) }

// Open names what is worked on while it is not known how much there is to do: no part of the
// whole and no remaining time is shown.
func (p *Progress) Open(name string) { p.item(name, true) }

func (p *Progress) item(name string, open bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.open != open {
		p.open = open
		if p.bar != nil {
			p.setWidth(p.width)
			p.bar.SetTemplateString(map[bool]string{false: barTemplate, true: openTemplate}[open])
		}
	}
	if p.items[1] == name { // what is not plain is shown again, which does no harm
		return
	}
	p.items[0], p.items[1] = p.items[1], string(plainText([]byte(name)))
	if p.bar != nil {
		p.bar.Set("items", p.current())
	}
}

// current names what is worked on, the newest first, as far as there is room.
func (p *Progress) current() string {
	newest := shorten(path.Base(p.items[1]), p.room)
	left := p.room - utf8.RuneCountInString(newest) - 1
	if older := path.Base(p.items[0]); p.items[0] != "" && left >= 12 {
		newest += " " + shorten(older, left)
	}
	return newest
}

// line prints one line of progress.
func (p *Progress) line(now time.Time) {
	p.mu.Lock()
	done, total, item, open := p.done, p.total, p.items[1], p.open
	rate := perSecond(done-p.lastDone, now.Sub(p.lastTime))
	overall := perSecond(done, now.Sub(p.started))
	p.lastDone, p.lastTime = done, now
	p.mu.Unlock()
	if total == 0 && item == "" {
		return
	}
	percent, left := 0.0, time.Duration(-1)
	if total > 0 && !open {
		percent = 100 * float64(done) / float64(total)
	}
	if overall > 0 && total >= done && !open {
		left = (time.Duration(float64(total-done)/overall) * time.Second).Round(time.Second)
	}
	if p.out.logJSON {
		p.out.Log.Info("progress", "done", done, "total", total, "percent", percent, "rate", int64(rate), "left_seconds", int64(left.Seconds()), "item", item)
		return
	}
	if open {
		p.out.Note("%s read, %s/s, %s", HumanBytes(done), HumanBytes(int64(rate)), item)
		return
	}
	eta := "?"
	if left >= 0 {
		eta = left.String()
	}
	p.out.Note("%s of %s, %.0f%%, %s/s, %s left, %s", HumanBytes(done), HumanBytes(total), percent, HumanBytes(int64(rate)), eta, item)
}

func perSecond(n int64, d time.Duration) float64 {
	if d <= 0 {
		return 0
	}
	return float64(n) / d.Seconds()
}

// Stop ends the display; it may be called again.
func (p *Progress) Stop() {
	p.stopOnce.Do(func() {
		close(p.quit)
		<-p.ended
		if p.bar != nil {
			p.bar.Finish()
			p.out.Screen.setBar(false)
		}
	})
}
