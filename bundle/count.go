package bundle

import "github.com/gapbundle/gapbundle/internal/spelling"

// Count returns a number of things for people, as spelling.Count: "1 volume", "2 volumes".
func Count[N spelling.Integer](n N, one string) string { return spelling.Count(n, one) }
