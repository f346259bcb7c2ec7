package verify_test

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/gapbundle/gapbundle/bundle"
	"github.com/gapbundle/gapbundle/internal/test/handmade"
	"github.com/gapbundle/gapbundle/unpack"
	"github.com/gapbundle/gapbundle/verify"
)

type (
	object = handmade.Object
	array  = handmade.Array
)

// byHand returns a bundle of two repositories that was written by the text of the format.
func byHand(key handmade.Key) handmade.Bundle {
	return handmade.Bundle{Keys: []handmade.Key{key}, Repositories: []handmade.Repository{
		{Name: "books", Mount: "files", Files: handmade.Files(map[string]string{
			"books/a.txt": text("a", 3000), "books/b/c.txt": text("c", 200000), "books/empty": "",
		})},
		{Name: "own", Mount: "apt/own", Files: handmade.Files(map[string]string{"x": text("a", 3000), "y": text("y", 10)})},
	}}
}

// trusting returns the policy that trusts the keys for the set demo.
func trusting(t testing.TB, keys ...handmade.Key) *verify.Policy {
	t.Helper()
	p := &verify.Policy{}
	for _, k := range keys {
		if err := p.Add(verify.Key{Role: verify.RoleExporter, Set: "demo", PEM: k.PEM()}); err != nil {
			t.Fatal(err)
		}
	}
	return p
}

// whole opens a bundle and reads every byte of it.
func whole(t testing.TB, dir string, o verify.Options) error {
	t.Helper()
	o.Now = now
	b, _, err := verify.Open(t.Context(), discover(t, dir), o)
	if err != nil {
		return err
	}
	return errors.Join(b.Check(t.Context(), verify.StreamOptions{Jobs: 2}), b.Close())
}

// TestWrittenByTheText: what a stranger writes by docs/format.md alone is a bundle,
// with either kind of key, in whatever frames, volumes and catalogue files.
func TestWrittenByTheText(t *testing.T) {
	for _, key := range []handmade.Key{handmade.NewKey(t), handmade.NewEd25519(t)} {
		for _, frame := range []int{0, 600, 4096, 8 << 20} {
			b := byHand(key)
			b.Frame, b.Volume = frame, frame
			if err := whole(t, b.Write(t, t.TempDir()), verify.Options{Policy: trusting(t, key), Receiver: &mirror{}}); err != nil {
				t.Errorf("frame %d: %v", frame, err)
			}
		}
	}
	key := handmade.NewKey(t)
	empty := handmade.Bundle{Keys: []handmade.Key{key}}
	if err := whole(t, empty.Write(t, t.TempDir()), verify.Options{Policy: trusting(t, key), Receiver: &mirror{}}); err != nil {
		t.Errorf("a bundle without repositories: %v", err)
	}
}

// hostile is one change to a bundle and what has to be said of it.
type hostile struct {
	change func(*handmade.Bundle)
	class  error
	want   []string
}

func tryAll(t *testing.T, all map[string]hostile) {
	t.Helper()
	key := handmade.NewKey(t)
	for name, x := range all {
		b := byHand(key)
		x.change(&b)
		dir := b.Write(t, t.TempDir())
		err := whole(t, dir, verify.Options{Policy: trusting(t, key), Receiver: &mirror{}})
		refused(t, name, err, x.class, x.want...)
		importAll(t, name, filepath.Dir(dir), key, x)
	}
}

// importAll imports what is in a folder into a new mirror. What verify refuses is refused
// there by the same class, and nothing of it is published; what is only not there waits.
func importAll(t *testing.T, name, folder string, key handmade.Key, x hostile) {
	t.Helper()
	dir := t.TempDir()
	m, err := unpack.Create(dir, unpack.Options{Now: func() time.Time { return now }, Tool: "test", Built: now.AddDate(0, -6, 0)})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	err = m.Trust().Update(t.Context(), "add", func(p *verify.Policy) error {
		return p.Add(verify.Key{Role: verify.RoleExporter, Set: "demo", PEM: key.PEM()})
	})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.Receive(t.Context(), []string{folder}, unpack.ImportOptions{})
	if x.class == nil && err != nil || x.class != nil && !errors.Is(err, x.class) {
		t.Errorf("import of %s: %v, want %v", name, err, x.class)
	}
	_, statErr := os.Lstat(filepath.Join(dir, "current"))
	if published := statErr == nil; published != (x.class == nil) {
		t.Errorf("import of %s: published: %v", name, published)
	}
}

func onRoot(f func(object)) func(*handmade.Bundle) {
	return func(b *handmade.Bundle) { b.Root = f }
}

func onRepository(f func(object)) func(*handmade.Bundle) {
	return func(b *handmade.Bundle) { b.Described = f }
}

func onText(from, to string) func(*handmade.Bundle) {
	return func(b *handmade.Bundle) {
		b.RootText = func(text []byte) []byte {
			out := bytes.Replace(text, []byte(from), []byte(to), 1)
			if bytes.Equal(out, text) {
				panic("nothing to change: " + from)
			}
			return out
		}
	}
}

// onLine changes the first line of a member.
func onLine(member string, f func(object)) func(*handmade.Bundle) {
	return func(b *handmade.Bundle) {
		b.Line = func(name string, i int, line object) {
			if name == member && i == 0 {
				f(line)
			}
		}
	}
}

// TestSignedRoots: roots that a trusted key signed and no honest exporter writes.
func TestSignedRoots(t *testing.T) {
	bad := bundle.ErrMalformed
	set := func(key string, value any) func(*handmade.Bundle) {
		return onRoot(func(o object) { o[key] = value })
	}
	repo := func(key string, value any) func(*handmade.Bundle) {
		return onRepository(func(o object) { o[key] = value })
	}
	all := map[string]hostile{
		"unknown key":             {set("extra", 1), bad, nil},
		"unknown key, nested":     {repo("extra", 1), bad, nil},
		"null":                    {set("destination", nil), bad, nil},
		"empty optional":          {set("destination", ""), bad, nil},
		"empty annotations":       {set("annotations", object{}), bad, nil},
		"key twice":               {onText(`"format":1,`, `"format":1,"format":1,`), bad, nil},
		"key in another case":     {onText(`"format":1,`, `"Format":1,`), bad, nil},
		"key with a long s":       {onText(`"set":`, `"ſet":`), bad, nil},
		"a blank":                 {onText(`,"full"`, `, "full"`), bad, nil},
		"another order":           {onText(`"format":1,"full":true`, `"full":true,"format":1`), bad, nil},
		"an escape too many":      {onText(`"demo"`, `"d\u0065mo"`), bad, nil},
		"not UTF-8":               {set("destination", "a\xffb"), bad, nil},
		"a number as text":        {set("sequence", "1"), bad, nil},
		"a fraction":              {set("sequence", handmade.Raw("1.0")), bad, nil},
		"an exponent":             {set("sequence", handmade.Raw("1e0")), bad, nil},
		"negative zero":           {set("sequence", handmade.Raw("-0")), bad, nil},
		"2^53":                    {set("sequence", handmade.Raw("9007199254740992")), bad, nil},
		"more than 64 bits":       {set("sequence", handmade.Raw("18446744073709551617")), bad, nil},
		"two values":              {func(b *handmade.Bundle) { b.RootText = func(x []byte) []byte { return append(x, x...) } }, bad, nil},
		"a byte order mark":       {func(b *handmade.Bundle) { b.RootText = func(x []byte) []byte { return append([]byte("\ufeff"), x...) } }, bad, nil},
		"no object":               {func(b *handmade.Bundle) { b.RootText = func([]byte) []byte { return []byte("[]") } }, bad, nil},
		"nothing":                 {func(b *handmade.Bundle) { b.RootText = func([]byte) []byte { return []byte{} } }, bad, nil},
		"nested without end":      {set("annotations", handmade.Raw(strings.Repeat("[", 1<<20))), bad, nil},
		"nested":                  {set("annotations", handmade.Raw(strings.Repeat(`{"a":`, 9000)+"1"+strings.Repeat("}", 9000))), bad, nil},
		"above 4 MiB":             {set("tool", strings.Repeat("x", 4<<20)), bad, nil},
		"format 0":                {set("format", 0), bundle.ErrUnsupported, []string{"format 0"}},
		"requires recipes":        {set("requires", array{"recipes"}), bundle.ErrUnsupported, []string{"recipes"}},
		"requires twice":          {set("requires", array{"filled", "filled"}), bad, []string{"requires"}},
		"set with a slash":        {set("set", "de/mo"), bad, []string{"set"}},
		"sequence 0":              {set("sequence", 0), bad, []string{"sequence"}},
		"stream in upper case":    {set("stream", strings.Repeat("A1", 16)), bad, []string{"stream"}},
		"stream too short":        {set("stream", "00"), bad, []string{"stream"}},
		"time with an offset":     {set("created", "2026-03-01T12:00:00+01:00"), bad, nil},
		"time with a fraction":    {set("created", "2026-03-01T12:00:00.5Z"), bad, nil},
		"time before 1970":        {set("created", "1969-12-31T23:59:59Z"), bad, []string{"created"}},
		"full with a base":        {set("base", object{"sequence": 1, "state": handmade.Digest(nil)}), bad, []string{"full"}},
		"delta without a base":    {set("full", false), bad, []string{"base"}},
		"base not before":         {onRoot(func(o object) { o["full"], o["base"] = false, object{"sequence": 1, "state": handmade.Digest(nil)} }), bad, []string{"base 1"}},
		"no tool":                 {set("tool", ""), bad, []string{"tool"}},
		"overrides not sorted":    {set("overrides", array{"b", "a"}), bad, []string{"overrides"}},
		"another state":           {set("state", handmade.Digest([]byte("x"))), bad, []string{"state"}},
		"state by SHA-512":        {set("state", "sha512:"+strings.Repeat("0", 128)), bad, nil},
		"state in upper case":     {set("state", "sha256:"+strings.Repeat("A", 64)), bad, nil},
		"no catalogue":            {set("catalog", array{}), bad, []string{"0 catalogue files"}},
		"sums as a list":          {onRoot(func(o object) { o["sums"].(object)["mediaType"] = "application/json" }), bad, []string{"media type"}},
		"descriptor with a URL":   {onRoot(func(o object) { o["sums"].(object)["urls"] = array{"http://x"} }), bad, nil},
		"descriptor with data":    {onRoot(func(o object) { o["volumes"].(object)["data"] = "eA==" }), bad, nil},
		"descriptor below zero":   {onRoot(func(o object) { o["volumes"].(object)["size"] = -1 }), bad, nil},
		"repository twice":        {repo("name", "books"), bad, []string{"twice"}},
		"repository, bad name":    {repo("name", "../x"), bad, []string{"name"}},
		"kind with a dot":         {repo("kind", "a.b"), bad, []string{"kind"}},
		"mode":                    {repo("mode", "improved"), bad, []string{"mode"}},
		"count below zero":        {repo("count", -1), bad, []string{"count"}},
		"count above all limits":  {repo("count", 20_000_001), bad, []string{"more than 20000000 files"}},
		"bytes that overflow":     {repo("bytes", int64(1<<53-1)), bad, nil},
		"unpinned, more than all": {repo("unpinned", 99), bad, []string{"not pinned"}},
		"carried something else":  {repo("carried", array{"volumes"}), bad, []string{"carried"}},
		"carried twice":           {repo("carried", array{"files", "files"}), bad, []string{"carried"}},
		"checks without a name":   {repo("checks", array{object{"count": 1, "name": ""}}), bad, []string{"check"}},
	}
	for _, mount := range []string{
		"", "/", "../x", "a//b", "a/../b", ".hidden", "a/.git", "_gapbundle", "_x", "index.html", "v2/x", "files/x", "git/x", "keys/x",
		`a\b`, "a\nb", "a\u202eb", strings.Repeat("m", 256), strings.Repeat("m/", 600) + "m",
	} {
		all[fmt.Sprintf("mount %.20q", mount)] = hostile{repo("mount", mount), bad, nil}
	}
	for _, c := range []string{"\x00", "\x1b", "\x7f", "\u0085", "\u009b", "\u200e", "\u202e", "\u2066", "\u2028", "\ufeff", "\n", "\t"} {
		all[fmt.Sprintf("text %+q", c)] = hostile{set("destination", "a"+c+"b"), bad, []string{"destination"}}
		all[fmt.Sprintf("annotation %+q", c)] = hostile{set("annotations", object{"k": "a" + c}), bad, []string{"annotations"}}
		all[fmt.Sprintf("annotation key %+q", c)] = hostile{repo("annotations", object{"k" + c: ""}), bad, []string{"annotations"}}
		all[fmt.Sprintf("override %+q", c)] = hostile{set("overrides", array{"a" + c}), bad, []string{"overrides"}}
	}
	tryAll(t, all)
}

// TestSignedKeysOfRoots: the keys that a root declares.
func TestSignedKeysOfRoots(t *testing.T) {
	bad := bundle.ErrMalformed
	good := func() object {
		return object{"fingerprint": strings.Repeat("A1", 20), "mounts": array{"apt/own"}, "path": "keys/a.asc", "role": "upstream"}
	}
	with := func(f func(object)) func(*handmade.Bundle) {
		return onRoot(func(o object) {
			k := good()
			f(k)
			o["keys"] = array{k}
		})
	}
	tryAll(t, map[string]hostile{
		"not in the policy":   {with(func(object) {}), bundle.ErrUntrusted, []string{strings.Repeat("A1", 20)}},
		"lower case":          {with(func(k object) { k["fingerprint"] = strings.Repeat("a1", 20) }), bad, nil},
		"39 digits":           {with(func(k object) { k["fingerprint"] = strings.Repeat("A", 39) }), bad, nil},
		"role of an exporter": {with(func(k object) { k["role"] = "exporter" }), bad, []string{"role"}},
		"elsewhere":           {with(func(k object) { k["path"] = "files/a.asc" }), bad, []string{"path"}},
		"outside":             {with(func(k object) { k["path"] = "keys/../a.asc" }), bad, []string{"path"}},
		"no mount of it":      {with(func(k object) { k["mounts"] = array{"apt/other"} }), bad, []string{"mount"}},
		"mounts null":         {with(func(k object) { k["mounts"] = nil }), bad, nil},
		"twice":               {onRoot(func(o object) { o["keys"] = array{good(), good()} }), bad, []string{"twice"}},
	})
}

// TestSignedStatements: what a trusted key signed counts only in the one form.
func TestSignedStatements(t *testing.T) {
	stated := func(f func(object)) func(*handmade.Bundle) {
		return func(b *handmade.Bundle) { b.Envelope.Statement = f }
	}
	filed := func(f func(object)) func(*handmade.Bundle) {
		return func(b *handmade.Bundle) { b.Envelope.File = f }
	}
	envelope := func(f func(object)) func(*handmade.Bundle) {
		return filed(func(o object) { f(o["dsseEnvelope"].(object)) })
	}
	texted := func(from, to string) func(*handmade.Bundle) {
		return func(b *handmade.Bundle) {
			b.Envelope.StatementText = func(text []byte) []byte { return bytes.Replace(text, []byte(from), []byte(to), 1) }
		}
	}
	untrusted := bundle.ErrUntrusted
	tryAll(t, map[string]hostile{
		"as it should be":         {func(*handmade.Bundle) {}, nil, nil},
		"statement v0.1":          {stated(func(o object) { o["_type"] = "https://in-toto.io/Statement/v0.1" }), nil, nil},
		"a predicate of its own":  {stated(func(o object) { o["predicate"] = object{"who": "me", "Name": "x"} }), nil, nil},
		"no predicate":            {stated(func(o object) { delete(o, "predicate") }), nil, nil},
		"blanks in the statement": {texted(`{`, "{\n "), nil, nil},
		"no hint":                 {filed(func(o object) { o["verificationMaterial"] = object{} }), nil, nil},
		"another hint":            {filed(func(o object) { o["verificationMaterial"] = object{"publicKey": object{"hint": "AAAA"}} }), nil, nil},
		"more in the file":        {filed(func(o object) { o["extra"] = array{1} }), nil, nil},

		"statement v2":         {stated(func(o object) { o["_type"] = "https://in-toto.io/Statement/v2" }), untrusted, nil},
		"no type":              {stated(func(o object) { delete(o, "_type") }), untrusted, nil},
		"a receipt":            {stated(func(o object) { o["predicateType"] = "https://gapbundle.dev/predicate/receipt/v1" }), untrusted, []string{"receipt"}},
		"almost the predicate": {stated(func(o object) { o["predicateType"] = handmade.PredicateType + "/" }), untrusted, nil},
		"unknown key":          {stated(func(o object) { o["extra"] = 1 }), untrusted, nil},
		"two subjects":         {stated(func(o object) { o["subject"] = append(o["subject"].(array), o["subject"].(array)[0]) }), untrusted, nil},
		"no subject":           {stated(func(o object) { o["subject"] = array{} }), untrusted, nil},
		"subject's name":       {stated(func(o object) { o["subject"].(array)[0].(object)["name"] = "./bundle.json" }), untrusted, nil},
		"two digests":          {stated(func(o object) { o["subject"].(array)[0].(object)["digest"].(object)["sha512"] = "00" }), untrusted, nil},
		"digest in upper case": {stated(func(o object) {
			d := o["subject"].(array)[0].(object)["digest"].(object)
			d["sha256"] = strings.ToUpper(d["sha256"].(string))
		}), untrusted, nil},
		"another root": {stated(func(o object) {
			o["subject"].(array)[0].(object)["digest"].(object)["sha256"] = strings.Repeat("0", 64)
		}), untrusted, nil},
		"key in another case":    {texted(`"subject"`, `"Subject"`), untrusted, nil},
		"key with a long s":      {texted(`"subject"`, `"ſubject"`), untrusted, nil},
		"a key twice":            {texted(`{`, `{"predicateType":"`+handmade.PredicateType+`",`), untrusted, nil},
		"two statements":         {func(b *handmade.Bundle) { b.Envelope.StatementText = func(x []byte) []byte { return append(x, x...) } }, untrusted, nil},
		"another payload type":   {func(b *handmade.Bundle) { b.Envelope.PayloadType = "text/plain" }, untrusted, nil},
		"media type v0.1":        {filed(func(o object) { o["mediaType"] = "application/vnd.dev.sigstore.bundle+json;version=0.1" }), untrusted, nil},
		"no envelope":            {filed(func(o object) { delete(o, "dsseEnvelope") }), untrusted, nil},
		"no signature":           {envelope(func(o object) { o["signatures"] = array{} }), untrusted, nil},
		"two signatures":         {envelope(func(o object) { o["signatures"] = append(o["signatures"].(array), o["signatures"].(array)[0]) }), untrusted, nil},
		"base64 without its end": {envelope(func(o object) { o["payload"] = strings.TrimRight(o["payload"].(string), "=") + "A" }), untrusted, nil},
		"base64 for URLs": {envelope(func(o object) {
			sig, err := base64.StdEncoding.DecodeString(o["signatures"].(array)[0].(object)["sig"].(string))
			if err != nil {
				panic(err)
			}
			o["signatures"] = array{object{"sig": "_-" + base64.RawURLEncoding.EncodeToString(sig)}}
		}), untrusted, nil},
		"payload changed": {envelope(func(o object) { o["payload"] = base64.StdEncoding.EncodeToString([]byte("{}")) }), untrusted, nil},
		"large":           {filed(func(o object) { o["extra"] = strings.Repeat("x", 64<<10) }), untrusted, nil},
	})
}

// TestSignedTables: frames, tables and lists that a trusted key signed.
func TestSignedTables(t *testing.T) {
	bad := bundle.ErrMalformed
	framed := func(file string, f func([]handmade.Frame) []handmade.Frame) func(*handmade.Bundle) {
		return func(b *handmade.Bundle) {
			b.Packed = func(name string, frames []handmade.Frame) []handmade.Frame {
				if name != file {
					return frames
				}
				return f(frames)
			}
		}
	}
	first := func(f func(raw int64) []byte) func([]handmade.Frame) []handmade.Frame {
		return func(frames []handmade.Frame) []handmade.Frame {
			raw := frames[0].Raw
			frames[0] = handmade.NewFrame(f(raw), raw)
			return frames
		}
	}
	skippable := []byte{0x50, 0x2a, 0x4d, 0x18, 4, 0, 0, 0, 'e', 'v', 'i', 'l'}
	all := map[string]hostile{}
	for _, file := range []string{"volume-00001.tar.zst", "catalog-01.tar.zst"} {
		for name, f := range map[string]func([]handmade.Frame) []handmade.Frame{
			"no frame":  first(func(int64) []byte { return []byte("no frame") }),
			"skippable": first(func(int64) []byte { return skippable }),
			"two frames": func(l []handmade.Frame) []handmade.Frame {
				l[0] = handmade.NewFrame(append(bytes.Clone(l[0].Bytes), l[0].Bytes...), l[0].Raw)
				return l
			},
			"something after the frame": func(l []handmade.Frame) []handmade.Frame {
				l[0] = handmade.NewFrame(append(bytes.Clone(l[0].Bytes), skippable...), l[0].Raw)
				return l
			},
			"another length": first(func(raw int64) []byte { return handmade.Compress(make([]byte, raw+1)) }),
			"cut": func(l []handmade.Frame) []handmade.Frame {
				l[0] = handmade.NewFrame(l[0].Bytes[:len(l[0].Bytes)-1], l[0].Raw)
				return l
			},
			"raw of 9 MiB": func(l []handmade.Frame) []handmade.Frame {
				l[0] = handmade.NewFrame(handmade.Compress(make([]byte, 9<<20)), 9<<20)
				return l
			},
			"raw 0":        func(l []handmade.Frame) []handmade.Frame { l[0].Raw = 0; return l },
			"compressed 0": func(l []handmade.Frame) []handmade.Frame { l[0].Compressed = 0; return l },
			"below zero":   func(l []handmade.Frame) []handmade.Frame { l[0].Compressed = -5; return l },
		} {
			all[file+": "+name] = hostile{framed(file, f), bad, nil}
		}
	}
	line := func(member, key string, value any) func(*handmade.Bundle) {
		return onLine(member, func(o object) { o[key] = value })
	}
	const files, evidence, blobs = "files/books.jsonl", "evidence/books.jsonl", "blobs/00001.jsonl"
	for name, x := range map[string]hostile{
		"file: unknown key":        {line(files, "mode", "0755"), bad, nil},
		"file: path of two files":  {line(files, "path", "books/b/c.txt"), bad, nil},
		"file: filled, not known":  {line(files, "filled", true), bad, []string{"filled"}},
		"file: filled false":       {line(files, "filled", false), bad, nil},
		"file: media type":         {line(files, "mediaType", "text/html\nx: y"), bad, nil},
		"file: size, fraction":     {line(files, "size", handmade.Raw("3e3")), bad, nil},
		"evidence: vouched twice":  {line(evidence, "vouched", "pinned,none"), bad, nil},
		"evidence: a short key":    {line(evidence, "vouched", "openpgp:ABCD"), bad, nil},
		"evidence: reason":         {line(evidence, "reason", "a\u202eb"), bad, nil},
		"evidence: origin":         {line(evidence, "origin", "http://a\x1b[2J"), bad, nil},
		"blob: at, and empty":      {line(blobs, "at", 0), bad, nil},
		"blob: longer than itself": {line(blobs, "length", 1<<40), bad, nil},
		"blob: below zero":         {line(blobs, "offset", -512), bad, nil},
		"volume: parity":           {line("volumes.jsonl", "role", "parity"), bundle.ErrUnsupported, nil},
		"volume: another name":     {line("volumes.jsonl", "name", "volume-1.tar.zst"), bad, nil},
		"volume: number 0":         {line("volumes.jsonl", "name", "volume-00000.tar.zst"), bad, nil},
		"no line feed at the end": {func(b *handmade.Bundle) {
			b.Member = func(name string, content []byte) []byte {
				if name == files {
					return content[:len(content)-1]
				}
				return content
			}
		}, bad, nil},
		"an empty line": {func(b *handmade.Bundle) {
			b.Member = func(name string, content []byte) []byte {
				if name == files {
					return append([]byte("\n"), content...)
				}
				return content
			}
		}, bad, nil},
		"a line without end": {func(b *handmade.Bundle) {
			b.Line = func(name string, i int, line object) {
				if name == evidence && i == 0 {
					line["reason"] = strings.Repeat("x", 70<<10)
				}
			}
		}, bad, []string{"longer than"}},
		"something after the last member": {func(b *handmade.Bundle) {
			b.Tape = func(name string, raw []byte) []byte {
				if name == "catalog-01.tar.zst" {
					return append(raw, make([]byte, 512)...)
				}
				return raw
			}
		}, bad, []string{"raw bytes"}},
		"sums: two blanks and a star": {func(b *handmade.Bundle) { b.Sums = func(s string) string { return strings.Replace(s, "  ", " *", 1) } }, bad, nil},
		"sums: upper case":            {func(b *handmade.Bundle) { b.Sums = strings.ToUpper }, bad, nil},
		"sums: a path": {func(b *handmade.Bundle) {
			b.Sums = func(s string) string { return strings.Replace(s, "  README", "  ./README", 1) }
		}, bad, nil},
		"sums: no line feed": {func(b *handmade.Bundle) { b.Sums = func(s string) string { return s[:len(s)-1] } }, bad, nil},
	} {
		all[name] = x
	}
	for _, c := range []string{"\x00", "\x1b", "\x7f", "\u0085", "\u009b", "\u061c", "\u202e", "\u2066", "\u2028", "\ufeff", "\n", `\`} {
		all[fmt.Sprintf("path %+q", c)] = hostile{line(files, "path", "books/"+c), bad, nil}
	}
	for _, p := range []string{"books/.htaccess", "books/b/Web.config", ".user.ini/x", "", "/etc/passwd", "a//b", "./a", "a/..", "..", strings.Repeat("x", 256), strings.Repeat("x/", 512) + "x"} {
		all[fmt.Sprintf("path %.20q", p)] = hostile{line(files, "path", p), bad, nil}
	}
	tryAll(t, all)
}

// TestFoldersOfPaths: a bundle of a few hundred KiB does not make a million folders.
func TestFoldersOfPaths(t *testing.T) {
	tryAll(t, map[string]hostile{
		"deep paths": {func(b *handmade.Bundle) {
			files := map[string]string{}
			for i := range 300 {
				files[fmt.Sprintf("h%03d/%sx", i, strings.Repeat("a/", 400))] = ""
			}
			b.Repositories = []handmade.Repository{{Name: "deep", Mount: "files", Files: handmade.Files(files)}}
		}, bundle.ErrMalformed, []string{"120300 folders for 300 files"}},
		"as deep as they may be": {func(b *handmade.Bundle) {
			b.Repositories = []handmade.Repository{{Name: "deep", Mount: "files", Files: handmade.Files(map[string]string{strings.Repeat("a/", 500) + "x": ""})}}
		}, nil, nil},
	})
}
