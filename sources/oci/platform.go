package oci

import (
	"fmt"
	"slices"
	"strings"

	v1 "github.com/opencontainers/image-spec/specs-go/v1"
)

// platform is what a spec asks for: os/architecture[/variant]. Without a
// variant it takes every one.
type platform struct{ os, arch, variant string }

// UnmarshalText reads "linux/arm64" and "linux/arm/v7".
func (p *platform) UnmarshalText(b []byte) error {
	parts := strings.Split(strings.ToLower(string(b)), "/")
	for _, part := range parts {
		if part == "" || strings.Trim(part, "abcdefghijklmnopqrstuvwxyz0123456789_.-") != "" {
			parts = nil
		}
	}
	if len(parts) != 2 && len(parts) != 3 {
		return fmt.Errorf("want a platform like linux/amd64 or linux/arm/v7, got %q", b)
	}
	p.os, p.arch = parts[0], archName(parts[1])
	if len(parts) == 3 {
		p.variant = parts[2]
	}
	return nil
}

func (p platform) String() string {
	s := p.os + "/" + p.arch
	if p.variant != "" {
		s += "/" + p.variant
	}
	return s
}

// archName returns an architecture as images name it (GOARCH).
func archName(s string) string {
	switch s {
	case "x86_64", "x86-64":
		return "amd64"
	case "aarch64":
		return "arm64"
	}
	return s
}

// takes reports whether p asks for the platform of an image. A 64-bit ARM image
// without variant is v8: there is no other.
func (p platform) takes(of v1.Platform) bool {
	if p.os != strings.ToLower(of.OS) || p.arch != archName(strings.ToLower(of.Architecture)) {
		return false
	}
	return p.variant == "" || p.variant == variantOf(of)
}

func variantOf(of v1.Platform) string {
	if of.Variant == "" && archName(of.Architecture) == "arm64" {
		return "v8"
	}
	return strings.ToLower(of.Variant)
}

// platforms are what a spec chooses; empty: all.
type platforms []platform

// union returns what both choose together. Nothing chosen is everything.
func (p platforms) union(q platforms) platforms {
	if len(p) == 0 || len(q) == 0 {
		return nil
	}
	all := slices.Concat(p, q)
	slices.SortFunc(all, func(a, b platform) int { return strings.Compare(a.String(), b.String()) })
	return slices.Compact(all)
}

func (p platforms) String() string {
	names := make([]string, len(p))
	for i := range p {
		names[i] = p[i].String()
	}
	return strings.Join(names, ",")
}

// takes reports whether a descriptor of an index is chosen. One without a platform
// is, because only its config would reveal what it is.
func (p platforms) takes(of *v1.Platform) bool {
	return len(p) == 0 || of == nil || of.OS == "" && of.Architecture == "" ||
		slices.ContainsFunc(p, func(q platform) bool { return q.takes(*of) })
}

// isUnknown reports whether a platform is how BuildKit marks what is not an image:
// an attestation next to the image that it is about.
func isUnknown(of *v1.Platform) bool {
	return of != nil && of.OS == "unknown" && of.Architecture == "unknown"
}

// lacking returns the platforms that none of the images kept of an index is for.
// An index within it may have them.
func (p platforms) lacking(kept []v1.Descriptor) []string {
	var all []string
	for _, want := range p {
		if !slices.ContainsFunc(kept, func(d v1.Descriptor) bool {
			return d.Platform == nil || d.Platform.OS == "" || want.takes(*d.Platform)
		}) {
			all = append(all, want.String())
		}
	}
	return all
}

// maxPlatform bounds what is recorded of a platform's name, which is upstream's.
const maxPlatform = 100 // bytes

// platformName returns the platform of a descriptor for people, of letters that an
// annotation's separators are not among.
func platformName(of *v1.Platform) string {
	return strings.Map(func(r rune) rune {
		if r < 0x80 && (r >= '0' && r <= '9' || r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || strings.ContainsRune("/._- ", r)) {
			return r
		}
		return '?'
	}, clipTo(rawPlatform(of), maxPlatform))
}

// clipTo cuts s to at most n bytes.
func clipTo(s string, n int) string { return s[:min(len(s), n)] }

func rawPlatform(of *v1.Platform) string {
	if of == nil || of.OS == "" && of.Architecture == "" {
		return "unknown"
	}
	name := strings.ToLower(of.OS) + "/" + strings.ToLower(of.Architecture)
	if of.Variant != "" {
		name += "/" + strings.ToLower(of.Variant)
	}
	if of.OSVersion != "" {
		name += " " + of.OSVersion
	}
	return name
}
