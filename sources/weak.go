package sources

import (
	"fmt"
	"slices"
	"sync"
)

// WeakKeys are keys of upstreams that count although they are weak, because the spec names
// them under allow-weak-key, by fingerprint. It is safe for concurrent use; a nil *WeakKeys
// allows none.
type WeakKeys struct {
	allowed []string

	mu   sync.Mutex
	used []string
}

// NewWeakKeys returns the keys that the spec allows.
func NewWeakKeys(fingerprints []string) *WeakKeys { return &WeakKeys{allowed: fingerprints} }

// Allow reports whether a weak key counts, and keeps that it was needed.
func (w *WeakKeys) Allow(fingerprint string) bool {
	if w == nil || !slices.Contains(w.allowed, fingerprint) {
		return false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if !slices.Contains(w.used, fingerprint) {
		w.used = append(w.used, fingerprint)
	}
	return true
}

// Used returns the weak keys that sources have loaded, sorted.
func (w *WeakKeys) Used() []string {
	if w == nil {
		return nil
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Sorted(slices.Values(w.used))
}

// WeakKeyAdvice ends an error about a weak key: what a spec can do about it.
func WeakKeyAdvice(fingerprint string) string {
	return fmt.Sprintf("upstream should sign by a better key; until then the spec can allow it: allow-weak-key: %s", fingerprint)
}
