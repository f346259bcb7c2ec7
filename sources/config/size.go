package config

import (
	"fmt"
	"math"
	"math/bits"
	"strconv"
	"strings"

	"github.com/gapbundle/gapbundle/bundle"
)

// Rate is bytes a second in a spec.
type Rate int64

// UnmarshalText reads what ParseRate accepts.
func (r *Rate) UnmarshalText(b []byte) error {
	n, err := ParseRate(string(b))
	*r = Rate(n)
	return err
}

// units are powers of 1000 and of 1024. A single letter is a power of 1024, as dd, split and
// tar have it.
var units = [...]struct {
	name  string
	bytes int64
}{
	{"kB", 1e3}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12},
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"k", 1 << 10}, {"K", 1 << 10}, {"M", 1 << 20}, {"G", 1 << 30}, {"T", 1 << 40},
	{"B", 1},
}

// maxFraction is how many digits the fraction of a size may have.
const maxFraction = 12

// ParseSize reads an amount of bytes: a number and a unit, decimal (kB, MB,
// GB, TB) or binary (KiB, MiB, GiB, TiB, or K, M, G, T), or a whole number of bytes. The
// number may have a fraction of at most maxFraction digits, and the amount is rounded
// down to whole bytes: nobody who writes 0.1G counts the 0.4 bytes at its end. A
// fraction of a byte, and one that leaves nothing, are refused. Errors match
// bundle.ErrUsage.
func ParseSize(s string) (int64, error) {
	number, scale := s, int64(1)
	for _, u := range units {
		if rest, ok := strings.CutSuffix(s, u.name); ok {
			number, scale = strings.TrimSuffix(rest, " "), u.bytes
			break
		}
	}
	whole, fraction, dotted := strings.Cut(number, ".")
	n, ok := digits(whole)
	if !ok || n > math.MaxInt64/scale {
		return 0, wrongSize(s)
	}
	n *= scale
	if dotted {
		part, ok := digits(fraction)
		if !ok || len(fraction) > maxFraction || scale == 1 {
			return 0, wrongSize(s)
		}
		high, low := bits.Mul64(uint64(part), uint64(scale))
		more, _ := bits.Div64(high, low, uint64(math.Pow10(len(fraction)))) // less than scale, because part is less than the divisor
		if n > math.MaxInt64-int64(more) || n+int64(more) == 0 && part != 0 {
			return 0, wrongSize(s)
		}
		n += int64(more)
	}
	return n, nil
}

// digits reads a number that is nothing but digits.
func digits(s string) (int64, bool) {
	if s == "" || strings.Trim(s, "0123456789") != "" {
		return 0, false
	}
	n, err := strconv.ParseInt(s, 10, 64)
	return n, err == nil
}

func wrongSize(s string) error {
	return fmt.Errorf("size %.40q: want bytes, such as 700MB, 1.5GiB or 1048576: %w", s, bundle.ErrUsage)
}

// ParseRate reads a size above 0 and "/s". Errors match bundle.ErrUsage.
func ParseRate(s string) (int64, error) {
	size, ok := strings.CutSuffix(s, "/s")
	n, err := ParseSize(size)
	if !ok || err != nil || n == 0 {
		return 0, fmt.Errorf("rate %.40q: want bytes a second, such as 20MB/s: %w", s, bundle.ErrUsage)
	}
	return n, nil
}
