package streams

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
)

// number returns str() of Python for a JSON number: a filter compares with that.
func number(n json.Number) string {
	if !strings.ContainsAny(string(n), ".eE") {
		if n == "-0" {
			return "0"
		}
		return string(n)
	}
	f, err := strconv.ParseFloat(string(n), 64)
	if err != nil && !math.IsInf(f, 0) {
		return string(n)
	}
	// Python's repr: without an exponent from 1e-4 to below 1e16.
	const smallest, largest = 1e-4, 1e16
	size := math.Abs(f)
	switch {
	case math.IsInf(f, 0):
		return strings.TrimPrefix(strings.ToLower(strconv.FormatFloat(f, 'g', -1, 64)), "+")
	case size != 0 && (size < smallest || size >= largest):
		return strconv.FormatFloat(f, 'e', -1, 64)
	}
	s := strconv.FormatFloat(f, 'f', -1, 64)
	if !strings.Contains(s, ".") {
		s += ".0"
	}
	return s
}
