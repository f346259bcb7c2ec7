package main

import (
	"context"
	"strings"

	"github.com/gapbundle/gapbundle/cmd/internal/command"
	"github.com/gapbundle/gapbundle/sources/config"
	"github.com/gapbundle/gapbundle/sources/export"
)

// flagValues returns what shells complete after flags of the connected side.
func flagValues() map[string]command.Values {
	return map[string]command.Values{
		"only": sourceNames, "hold": sourceNames, "allow-shrink": sourceNames, "allow-older": sourceNames,
		"destination": destinationNames,
	}
}

// specOf returns the spec that a command line names so far.
func specOf(t *command.Typed) string {
	if strings.HasPrefix(t.Command, "receipts ") {
		return command.FirstOf(t.Flag("spec"), command.DefaultSpec)
	}
	return command.FirstOf(t.Arg("GAPBUNDLE_SPEC"), command.DefaultSpec)
}

func sourceNames(t *command.Typed) (names []string) {
	spec, err := config.Load(specOf(t))
	if err != nil {
		return nil
	}
	for _, s := range spec.Sources {
		names = append(names, s.Name)
	}
	return names
}

// destinationNames returns the destinations that the exporter's state knows.
func destinationNames(t *command.Typed) (names []string) {
	known, err := export.Receipts(context.Background(), export.ReceiptOptions{SpecPath: specOf(t), StateDir: t.Flag("state")})
	if err != nil {
		return nil
	}
	for _, d := range known {
		if d.Name != "" {
			names = append(names, d.Name)
		}
	}
	return names
}
