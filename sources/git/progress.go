package git

import (
	"fmt"
	"time"
)

// progressInterval is the time between two lines about a step of git that goes on.
const progressInterval = 5 * time.Second

// during runs a step and logs at intervals that it goes on, for how long, and how
// much upstream has sent: a plan fetches, and a large repository takes hours.
func (t *tools) during(r *repository, what string, step func() error) error {
	began := time.Now()
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(t.interval)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case now := <-tick.C:
				t.env.Log.Info("git: "+what, "repository", r.url, "received", size(r.relay.Received()), "for", now.Sub(began).Round(time.Second))
			}
		}
	}()
	err := step()
	close(quit)
	<-ended
	return err
}

// size returns a number of bytes for people.
func size(n int64) string {
	if n < 1<<20 {
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
