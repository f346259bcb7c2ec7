package apt

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/gapbundle/gapbundle/internal/fetch"
	"github.com/gapbundle/gapbundle/internal/strictyaml"
	"github.com/gapbundle/gapbundle/sources"
	"github.com/gapbundle/gapbundle/sources/apt/deb"
	shared "github.com/gapbundle/gapbundle/sources/closure"
	"github.com/gapbundle/gapbundle/sources/keyring"
	"github.com/gapbundle/gapbundle/sources/upstream"
)

// installerPart follows a component in the path of what the Debian installer reads of it.
const installerPart = "/debian-installer"

// reasonInstaller is why a udeb is in a rebuilt mirror: the installer chooses by the machine.
const reasonInstaller = "part of the installer"

func isInstaller(component string) bool { return strings.HasSuffix(component, installerPart) }

// parts returns the components and, where the installer's are wanted, those of the Release.
func (c *configuration) parts(r *deb.Release) []string {
	all := c.components(r)
	if !c.Installer {
		return all
	}
	var own []string
	for _, component := range all {
		part := component + installerPart
		has := func(f deb.ReleaseFile) bool { return strings.HasPrefix(f.Path, part+"/binary-") }
		if !slices.Contains(all, part) && slices.ContainsFunc(r.Files, has) {
			own = append(own, part)
		}
	}
	return union(all, own)
}

// checkInstaller refuses suites of installer that the source does not have, or that have
// nothing of it.
func (l *loaded) checkInstaller() error {
	var errs []error
	var names []string
	for _, s := range l.suites {
		names = append(names, s.name)
		if s.want.Installer && !slices.ContainsFunc(s.want.parts(s.release), isInstaller) {
			errs = append(errs, l.pos.Errorf("source %s: installer: %s %s has no udebs (COMPONENT%s)", l.name, fetch.Redact(s.root.url), s.name, installerPart))
		}
	}
	for _, name := range l.options.Installer {
		if !slices.Contains(names, name) {
			errs = append(errs, l.pos.Errorf("source %s: installer: %s: no suite of the source%s", l.name, name, shared.Hint("there are", names)))
		}
	}
	return strictyaml.Join(errs...)
}

// addInstaller adds all udebs to what was chosen: which of them a machine needs is known
// when it is installed.
func (sel *selection) addInstaller(env *sources.Env, l *loaded) error {
	for j, s := range l.suites {
		for _, f := range s.forms {
			if f.group.target != targetPackages || f.local == "" || !isInstaller(f.group.component) {
				continue
			}
			component := sel.suites[j].component(f.group.component)
			err := stanzas(env, s, f, deb.Packages, func(p *deb.Package) error {
				component.packages = append(component.packages, p)
				component.why[p] = reasonInstaller
				return nil
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// addDetached adds Release and Release.gpg, which the installer reads, to an InRelease that
// holds. They have to be the same.
func (found *signed) addDetached(ctx context.Context, env *sources.Env, s *suite, place *upstream.Place, text []byte, keys keyring.Keys) error {
	detached, other, err := readDetached(ctx, env, s, place, keys)
	if err != nil {
		return err
	}
	if !bytes.Equal(bytes.TrimSpace(detached), bytes.TrimSpace(text)) {
		return fmt.Errorf("%s: is of another state than %s: %w", s.where(nameRelease), nameInRelease, fetch.ErrUpstream)
	}
	found.files = append(found.files, other.files...)
	return nil
}
