// A closed loop of reviews over TLS with keep-alive: each connection sends its next request when it has the answer to the
// last one. It is in Go, and below net/http's client, so that it leaves the machine's cores to the server.
//
// It prints one line of JSON: the durations, how many requests, and its own processor time. An answer that is not 200, or
// that lacks one of the expected texts, ends it with an error.
package main

import (
	"bufio"
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

type options struct {
	address, path, authority, bodies string
	expected                         texts
	connections, most                int
	seconds                          float64
}

type texts []string

func (t *texts) String() string { return fmt.Sprint(*t) }

func (t *texts) Set(text string) error {
	*t = append(*t, text)
	return nil
}

type result struct {
	Requests   int     `json:"requests"`
	Seconds    float64 `json:"seconds"`
	P50Ms      float64 `json:"p50Ms"`
	P99Ms      float64 `json:"p99Ms"`
	MaxMs      float64 `json:"maxMs"`
	CPUSeconds float64 `json:"cpuSeconds"`
}

func main() {
	var o options
	flag.StringVar(&o.address, "address", "", "host:port of the server")
	flag.StringVar(&o.path, "path", "", "path to post to")
	flag.StringVar(&o.authority, "authority", "", "certificate that is trusted")
	flag.StringVar(&o.bodies, "bodies", "", "folder of the bodies, sent in turn")
	flag.Var(&o.expected, "expect", "text that every answer must contain; may be repeated")
	flag.IntVar(&o.connections, "connections", 4, "connections")
	flag.IntVar(&o.most, "most", 1_000_000, "requests at most")
	flag.Float64Var(&o.seconds, "seconds", 1, "how long")
	flag.Parse()
	go func() {
		// Whoever started us is gone.
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(1)
	}()
	told, err := run(o)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(told)
}

func run(o options) (*result, error) {
	requests, err := read(o)
	if err != nil {
		return nil, err
	}
	pem, err := os.ReadFile(o.authority)
	if err != nil {
		return nil, err
	}
	trusted := x509.NewCertPool()
	if !trusted.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in " + o.authority)
	}
	lines := make([]*line, o.connections)
	for i := range lines {
		connection, err := tls.Dial("tcp", o.address, &tls.Config{RootCAs: trusted})
		if err != nil {
			return nil, err
		}
		defer connection.Close()
		lines[i] = &line{Conn: connection, reader: bufio.NewReader(connection), expected: o.expected}
	}
	return drive(o, lines, requests)
}

// read makes whole requests of the bodies, so that nothing is built while time is taken.
func read(o options) ([][]byte, error) {
	files, err := filepath.Glob(filepath.Join(o.bodies, "*.json"))
	if err != nil || len(files) == 0 {
		return nil, fmt.Errorf("no bodies in %s: %v", o.bodies, err)
	}
	var requests [][]byte
	for _, file := range files {
		body, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		head := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: %s\r\nAccept: application/json, */*\r\n"+
			"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n", o.path, o.address, len(body))
		requests = append(requests, append([]byte(head), body...))
	}
	return requests, nil
}

func drive(o options, lines []*line, requests [][]byte) (*result, error) {
	var group sync.WaitGroup
	began := time.Now()
	before := processorSeconds()
	end := began.Add(time.Duration(o.seconds * float64(time.Second)))
	for i, one := range lines {
		group.Go(func() {
			// Each begins elsewhere, so that they do not ask for the same release at the same time.
			at := i * len(requests) / len(lines)
			for one.err == nil && time.Now().Before(end) && len(one.durations) < o.most/len(lines) {
				one.ask(requests[at%len(requests)])
				at++
			}
		})
	}
	group.Wait()
	told := &result{Seconds: time.Since(began).Seconds(), CPUSeconds: processorSeconds() - before}
	var durations []time.Duration
	for _, one := range lines {
		if one.err != nil {
			return nil, one.err
		}
		durations = append(durations, one.durations...)
	}
	slices.Sort(durations)
	told.Requests = len(durations)
	told.P50Ms, told.P99Ms, told.MaxMs = share(durations, 0.5), share(durations, 0.99), share(durations, 1)
	return told, nil
}

type line struct {
	*tls.Conn
	reader    *bufio.Reader
	expected  texts
	answer    bytes.Buffer
	durations []time.Duration
	err       error
}

// ask sends one request and reads the whole answer to it, within 30 s (the longest that an API server waits).
func (l *line) ask(request []byte) {
	began := time.Now()
	if l.err = l.SetDeadline(began.Add(30 * time.Second)); l.err != nil {
		return
	}
	if _, l.err = l.Write(request); l.err != nil {
		return
	}
	var response *http.Response
	if response, l.err = http.ReadResponse(l.reader, nil); l.err != nil {
		return
	}
	l.answer.Reset()
	if _, l.err = l.answer.ReadFrom(response.Body); l.err != nil {
		return
	}
	l.durations = append(l.durations, time.Since(began))
	if response.StatusCode != http.StatusOK {
		l.err = fmt.Errorf("answered %s: %.300s", response.Status, l.answer.Bytes())
	}
	for _, text := range l.expected {
		if !bytes.Contains(l.answer.Bytes(), []byte(text)) {
			l.err = fmt.Errorf("answered without %s: %.300s", text, l.answer.Bytes())
		}
	}
}

// share is the duration, in milliseconds, within which that share of the requests ended.
func share(sorted []time.Duration, of float64) float64 {
	if len(sorted) == 0 {
		return 0
	}
	at := min(len(sorted)-1, int(of*float64(len(sorted))))
	return float64(sorted[at].Microseconds()) / 1000
}

func processorSeconds() float64 {
	var used syscall.Rusage
	if syscall.Getrusage(syscall.RUSAGE_SELF, &used) != nil {
		return 0
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}
