package command

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
)

// Constructors of flags. A usage text marks the placeholder of the value with
// back quotes, as package flag does it; a flag's environment variable follows
// from its name.

// Text returns a flag with a word or a path.
func Text(name, usage string) *cli.StringFlag { return &cli.StringFlag{Name: name, Usage: usage} }

// Needed returns a Text without which the command cannot run.
func Needed(name, usage string) *cli.StringFlag {
	return &cli.StringFlag{Name: name, Usage: usage, Required: true}
}

// List returns a Text that may be given several times.
func List(name, usage string) *cli.StringSliceFlag {
	return &cli.StringSliceFlag{Name: name, Usage: usage + " (repeatable)"}
}

// Toggle returns a flag that is given or not.
func Toggle(name, usage string) *cli.BoolFlag { return &cli.BoolFlag{Name: name, Usage: usage} }

// Number returns a flag with a whole number.
func Number(name, usage string, value int) *cli.IntFlag {
	return &cli.IntFlag{Name: name, Usage: usage, Value: value}
}

// Parsed returns a flag whose value checks itself.
func Parsed(name, usage string, value cli.Generic) *cli.GenericFlag {
	return &cli.GenericFlag{Name: name, Usage: usage, Value: value}
}

// outputFlags returns the flags of every command.
func outputFlags() []cli.Flag {
	return []cli.Flag{
		Toggle("json", "print the result, and an error too, as one JSON object on standard output"),
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "print nothing but errors on standard error: no progress, no notes"},
		Parsed("log-format", "`FORMAT` of notes and progress on standard error", &Choice{Of: []string{"text", "json"}, value: "text"}),
		Parsed("log-level", "lowest `LEVEL` that is printed", &Choice{Of: []string{"debug", "info", "warn", "error"}, value: "info"}),
	}
}

// JobsFlag returns the flag --jobs.
func JobsFlag() cli.Flag {
	return &cli.IntFlag{Name: "jobs", Aliases: []string{"j"}, Usage: "`N` things at once; 0: one for each processor"}
}

// DryRunFlag returns the flag --dry-run.
func DryRunFlag() cli.Flag {
	return Toggle("dry-run", "show what would happen; write nothing")
}

// RetryLockFlag returns the flag --retry-lock.
func RetryLockFlag() cli.Flag {
	return Parsed("retry-lock", "wait up to `DURATION` for another gapbundle to finish, instead of giving up at once", new(Span))
}

// NoDescriptor is the value of a descriptor flag that was not given.
const NoDescriptor = -1

func mirrorFlag() cli.Flag { return Needed("mirror", "the mirror's `DIR`") }

// placeholder returns the word in back quotes of a flag's usage.
func placeholder(flag cli.Flag) string {
	_, rest, _ := strings.Cut(usageOf(flag), "`")
	word, _, ok := strings.Cut(rest, "`")
	if !ok {
		return "VALUE"
	}
	return word
}

func usageOf(flag cli.Flag) string {
	if d, ok := flag.(cli.DocGenerationFlag); ok {
		return d.GetUsage()
	}
	return ""
}

// Choice is a flag value that is one of a few words.
type Choice struct {
	Of    []string
	value string
}

// NewChoice returns a choice with a default.
func NewChoice(standard string, others ...string) *Choice {
	return &Choice{Of: append([]string{standard}, others...), value: standard}
}

// Value returns the word that was chosen.
func (c *Choice) Value() string { return c.value }

func (c *Choice) String() string { return c.value }

func (c *Choice) candidates() []string { return c.Of }

// Set takes one of the words.
func (c *Choice) Set(s string) error {
	for _, w := range c.Of {
		if s == w {
			c.value = s
			return nil
		}
	}
	return fmt.Errorf("want %s", strings.Join(c.Of, ", "))
}

// Span is a flag value of time with a unit: "90d", "12h", "10m".
type Span time.Duration

func (d *Span) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

// Set takes whole days as in 90d, or what time.ParseDuration takes.
func (d *Span) Set(s string) error {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("want whole days as in 90d")
		}
		*d = Span(n) * Span(24*time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("want a time with its unit: 90d, 12h, 10m, 30s")
	}
	*d = Span(v)
	return nil
}

// Share is a flag value without a number (everything) or with a percentage.
type Share float64

// IsBoolFlag reports that the flag needs no value.
func (f *Share) IsBoolFlag() bool { return true }
func (f *Share) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*f)*100, 'g', -1, 64) + "%"
}

// Set takes a percentage, or true for everything.
func (f *Share) Set(s string) error {
	if s == "true" {
		*f = 1
		return nil
	}
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(n > 0 && n <= 100) {
		return fmt.Errorf("want a percentage above 0%% and up to 100%%, as in 5%%")
	}
	*f = Share(n / 100)
	return nil
}

// ValueOf returns the value of a flag that parsed made.
func ValueOf[T cli.Generic](c *cli.Context, name string) T {
	v, _ := c.Generic(name).(T)
	return v
}

// SpanOf returns the value of a flag of time; 0 where the command has none.
func SpanOf(c *cli.Context, name string) time.Duration {
	if d := ValueOf[*Span](c, name); d != nil {
		return time.Duration(*d)
	}
	return 0
}

// whichBundle is a flag value that is given without a value, or names a bundle.
type whichBundle struct {
	given bool
	name  string
}

// IsBoolFlag reports that the flag needs no value.
func (w *whichBundle) IsBoolFlag() bool { return true }
func (w *whichBundle) String() string   { return w.name }

// Set takes the name or the number of a bundle; true for the only one at hand.
func (w *whichBundle) Set(s string) error {
	if s == "" || s == "false" {
		return fmt.Errorf("want the folder or the number of a bundle, as in site-000007 or 7")
	}
	w.given = true
	if s != "true" {
		w.name = s
	}
	return nil
}

// byHandOnly reports whether a flag sets a rule of trust aside: it counts where somebody
// types it, and not where an environment has had it for a year.
func byHandOnly(name string) bool {
	switch name {
	case "accept-keys", "allow-rollback", "accept-expired", "yes":
		return true
	}
	return false
}
