package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/pubkeys"
	"github.com/gapbundle/gapbundle/verify"
)

// trustKeyring adds the OpenPGP keys of a file, after one question about all of them.
func trustKeyring(c *cli.Context, o *Output, role verify.Role, set, file string) error {
	keys, err := pubkeys.LoadKeyring(file)
	if err != nil {
		return err
	}
	if keys, err = confirmKeyring(c, o, fmt.Sprintf("%s: %s", file, role), set, keys); err != nil {
		return err
	}
	var fingerprints []string
	for _, k := range keys {
		if k.Weak != nil && (role != verify.RoleUpstream || !c.Bool("allow-weak-key")) {
			return fmt.Errorf("%s: %w", file, k.Weak)
		}
		fingerprints = append(fingerprints, k.Fingerprint)
	}
	return addTrust(c, o, fmt.Sprintf("add %s %s for %s", role, strings.Join(fingerprints, " "), set), func(p *verify.Policy) error {
		for _, k := range keys {
			if err := p.AddOpenPGP(verify.OpenPGPKey{Role: role, Set: set, Fingerprint: k.Fingerprint, Added: time.Now()}); err != nil {
				return err
			}
		}
		return nil
	})
}

// confirmKeyring makes sure that a person, or --fingerprint, confirms of keys that they are the
// right ones, and returns those.
func confirmKeyring(c *cli.Context, o *Output, what, set string, keys []pubkeys.Key) ([]pubkeys.Key, error) {
	one := func(k pubkeys.Key) string {
		return fmt.Sprintf("%s key for set %s: %s", what, set, bundle.PlainText(k.Text(time.Now())))
	}
	if given := c.String("fingerprint"); given != "" && len(keys) > 1 {
		at := slices.IndexFunc(keys, func(k pubkeys.Key) bool { return plainDigits(given) == plainDigits(k.Fingerprint) })
		if at < 0 {
			return nil, fmt.Errorf("%s: none of its %s has the fingerprint %s: %w", what, bundle.Count(len(keys), "key"), given, bundle.ErrUntrusted)
		}
		return keys[at : at+1], nil
	}
	if len(keys) == 1 {
		return keys, ConfirmFingerprint(c, o, one(keys[0]), keys[0].Fingerprint)
	}
	if c.Bool("yes") {
		return keys, nil
	}
	list := fmt.Sprintf("%s keyring for set %s, %s:\n", what, set, bundle.Count(len(keys), "key"))
	for _, k := range keys {
		list += fmt.Sprintf("  %s\n    %s\n", k.Fingerprint, bundle.PlainText(k.Text(time.Now())))
	}
	answer, ok, err := Ask(c, o, list+"Compare them by a second channel (telephone, paper). Are they the right ones? Type yes: ")
	switch {
	case err != nil:
		return nil, err
	case !ok:
		return nil, &UsageError{strings.TrimSuffix(list, "\n") + "\nno terminal to confirm them on", "compare them by a second channel, then add --yes, or --fingerprint FINGERPRINT for one of them"}
	case answer != "yes":
		return nil, fmt.Errorf("%s: %s were not confirmed: %w", what, bundle.Count(len(keys), "key"), bundle.ErrUntrusted)
	}
	return keys, nil
}
