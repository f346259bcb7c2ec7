package git

import "time"

// progressInterval is the time between two lines about a step of git that goes on.
const progressInterval = 5 * time.Second

// during runs a step and logs at intervals that it goes on, for how long, and how
// much upstream has sent: a plan fetches, and a large repository takes hours.
func (m *mirror) during(what string, step func() error) error {
	began := time.Now()
	quit, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		tick := time.NewTicker(m.interval)
		defer tick.Stop()
		for {
			select {
			case <-quit:
				return
			case now := <-tick.C:
				m.env.Log.Info("git: "+what, "repository", m.url, "received", size(m.relay.Received()), "for", now.Sub(began).Round(time.Second))
			}
		}
	}()
	err := step()
	close(quit)
	<-ended
	return err
}
