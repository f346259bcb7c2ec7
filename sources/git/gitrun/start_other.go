//go:build !unix

package gitrun

import (
	"context"
	"os/exec"
)

// command starts git. Children of a killed git end by themselves, when their
// pipes close.
func (g *Git) command(ctx context.Context, args []string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, g.path, args...) //nolint:gosec // git, with arguments that the callers bound
	return cmd
}
