package imagetest

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Helm pulls a chart that NewWorld's Chart made and returns the archive. A tag
// is turned back into the version that it stands for, as helm wants it.
func Helm(t testing.TB) func(ctx context.Context, p Pull) ([]byte, error) {
	r := newRunner(t)
	return func(ctx context.Context, p Pull) ([]byte, error) {
		dir, err := r.fresh()
		if err != nil {
			return nil, err
		}
		args := []string{"pull", "--plain-http", "--destination", dir}
		if strings.Contains(p.Reference, ":") {
			args = append(args, "oci://"+p.Ref())
		} else {
			args = append(args, "--version", strings.ReplaceAll(p.Reference, "_", "+"), "oci://"+p.Server+"/"+p.Name)
		}
		if _, err := r.do(ctx, "helm", args...); err != nil {
			return nil, err
		}
		names, err := filepath.Glob(filepath.Join(dir, "*.tgz"))
		if err != nil || len(names) != 1 {
			return nil, err
		}
		return os.ReadFile(names[0])
	}
}
