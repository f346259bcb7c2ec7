package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/urfave/cli/v2"
)

// Constructors of flags. A usage text marks the placeholder of the value with
// back quotes, as package flag does it; a flag's environment variable follows
// from its name.

func text(name, usage string) *cli.StringFlag { return &cli.StringFlag{Name: name, Usage: usage} }

func needed(name, usage string) *cli.StringFlag {
	return &cli.StringFlag{Name: name, Usage: usage, Required: true}
}

func list(name, usage string) *cli.StringSliceFlag {
	return &cli.StringSliceFlag{Name: name, Usage: usage + " (repeatable)"}
}

func toggle(name, usage string) *cli.BoolFlag { return &cli.BoolFlag{Name: name, Usage: usage} }

func number(name, usage string, value int) *cli.IntFlag {
	return &cli.IntFlag{Name: name, Usage: usage, Value: value}
}

func parsed(name, usage string, value cli.Generic) *cli.GenericFlag {
	return &cli.GenericFlag{Name: name, Usage: usage, Value: value}
}

// outputFlags are the flags of every command.
func outputFlags() []cli.Flag {
	return []cli.Flag{
		toggle("json", "print the result, and an error too, as one JSON object on standard output"),
		&cli.BoolFlag{Name: "quiet", Aliases: []string{"q"}, Usage: "on standard error nothing but errors: no progress, no notes"},
		parsed("log-format", "`FORMAT` of notes and progress on standard error", &choice{of: []string{"text", "json"}, value: "text"}),
		parsed("log-level", "least `LEVEL` that is printed", &choice{of: []string{"debug", "info", "warn", "error"}, value: "info"}),
	}
}

func jobsFlag() cli.Flag {
	return &cli.IntFlag{Name: "jobs", Aliases: []string{"j"}, Usage: "`N` things at once; 0: one for each processor"}
}

func dryRunFlag() cli.Flag {
	return toggle("dry-run", "do everything but change something: not one byte is written")
}

func retryLockFlag() cli.Flag {
	return parsed("retry-lock", "wait up to `DURATION` for another gapbundle to finish, instead of giving up at once", new(span))
}

func stateFlag() cli.Flag {
	return text("state", "`DIR` of the exporter's state; default: .gapbundle beside the spec")
}

func passphraseFlag() cli.Flag {
	return number("passphrase-fd", "read the passphrase of the signing keys from descriptor `N`", noDescriptor)
}

func sitePassphraseFlag() cli.Flag {
	return number("site-passphrase-fd", "read the passphrase of the site key from descriptor `N`", noDescriptor)
}

// noDescriptor is the value of a descriptor flag that was not given.
const noDescriptor = -1

func mirrorFlag() cli.Flag { return needed("mirror", "the mirror's `DIR`") }

// placeholder is the word in back quotes of a flag's usage.
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

// choice is a flag value that is one of a few words.
type choice struct {
	of    []string
	value string
}

func (c *choice) String() string { return c.value }

func (c *choice) Set(s string) error {
	for _, w := range c.of {
		if s == w {
			c.value = s
			return nil
		}
	}
	return fmt.Errorf("want %s", strings.Join(c.of, ", "))
}

// byteSize is a flag value in bytes with a unit: "1GiB", "500MB".
type byteSize int64

func (b *byteSize) String() string {
	if *b == 0 {
		return ""
	}
	return humanBytes(int64(*b))
}

func (b *byteSize) Set(s string) error {
	n, err := config.ParseSize(s)
	*b = byteSize(n)
	return err
}

// span is a flag value of time with a unit: "90d", "12h", "10m".
type span time.Duration

func (d *span) String() string {
	if *d == 0 {
		return ""
	}
	return time.Duration(*d).String()
}

func (d *span) Set(s string) error {
	if days, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseUint(days, 10, 16)
		if err != nil {
			return fmt.Errorf("want whole days as in 90d")
		}
		*d = span(n) * span(24*time.Hour)
		return nil
	}
	v, err := time.ParseDuration(s)
	if err != nil || v < 0 {
		return fmt.Errorf("want a time with its unit: 90d, 12h, 10m, 30s")
	}
	*d = span(v)
	return nil
}

// share is a flag value that stands alone (everything) or with a percentage.
type share float64

func (f *share) IsBoolFlag() bool { return true }
func (f *share) String() string {
	if *f == 0 {
		return ""
	}
	return strconv.FormatFloat(float64(*f)*100, 'g', -1, 64) + "%"
}

func (f *share) Set(s string) error {
	if s == "true" {
		*f = 1
		return nil
	}
	digits, ok := strings.CutSuffix(s, "%")
	n, err := strconv.ParseFloat(digits, 64)
	if !ok || err != nil || !(n > 0 && n <= 100) {
		return fmt.Errorf("want a percentage above 0%% and up to 100%%, as in 5%%")
	}
	*f = share(n / 100)
	return nil
}

// valueOf is the value of a flag that parsed made.
func valueOf[T cli.Generic](c *cli.Context, name string) T {
	v, _ := c.Generic(name).(T)
	return v
}

// spanOf is the value of a flag of time; 0 where the command has none.
func spanOf(c *cli.Context, name string) time.Duration {
	if d := valueOf[*span](c, name); d != nil {
		return time.Duration(*d)
	}
	return 0
}
