package certs

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ProtonMail/go-crypto/openpgp"
	"github.com/ProtonMail/go-crypto/openpgp/packet"
)

func TestDescribe(t *testing.T) {
	made := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	at := func() time.Time { return made }
	forever := entity(t, &packet.Config{Time: at})
	for _, name := range []string{"B", "C", "D"} {
		if err := forever.AddUserId(name, "", "", &packet.Config{Time: at}); err != nil {
			t.Fatal(err)
		}
	}
	month := entity(t, &packet.Config{Time: at, V6Keys: true, KeyLifetimeSecs: 30 * 24 * 3600})
	gone := entity(t, &packet.Config{Time: at})
	if err := gone.RevokeKey(packet.KeyCompromised, "stolen", &packet.Config{Time: at}); err != nil {
		t.Fatal(err)
	}
	file := slices.Concat(armored(t, openpgp.PublicKeyType, public(t, forever, month)), armored(t, openpgp.PublicKeyType, public(t, gone)))
	got, err := Describe(file)
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	after := made.AddDate(0, 2, 0)
	for i, want := range []string{
		"Example <a@example.org>, B, C, and 1 more, made 2026-01-02, valid without end",
		"Example <a@example.org>, made 2026-01-02, EXPIRED 2026-02-01",
		"Example <a@example.org>, made 2026-01-02, REVOKED",
	} {
		if text := got[i].Text(after); text != want {
			t.Errorf("%d: %q, want %q", i, text, want)
		}
	}
	if text := got[1].Text(made); !strings.HasSuffix(text, ", valid until 2026-02-01") {
		t.Errorf("while it is valid: %q", text)
	}
	if plain, err := Describe(public(t, forever)); err != nil || len(plain) != 1 || plain[0].Fingerprint != got[0].Fingerprint {
		t.Errorf("without armor: %v, %v", plain, err)
	}
}
