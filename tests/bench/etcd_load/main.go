// The load for etcd: puts or linearizable gets in a closed loop, through etcd's own Go client, so that the client is not
// the bottleneck. Built by `python -m tests.bench.compare` from Debian's golang-go and golang-etcd-server-dev.
//
// One order a line comes in on standard input, one answer a line goes out: see tests/bench/compare/loader.py.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"go.etcd.io/etcd/clientv3"
	"go.etcd.io/etcd/pkg/transport"
)

const keysPerTask = 10

type order struct {
	Kind        string  `json:"kind"` // write | read
	InFlight    int     `json:"in_flight"`
	Connections int     `json:"connections"`
	WarmUpS     float64 `json:"warm_up_s"`
	Seconds     float64 `json:"seconds"`
	ValueBytes  int     `json:"value_bytes"`
	ToLeader    bool    `json:"to_leader"`
}

type answer struct {
	Operations int     `json:"operations"`
	Failures   int     `json:"failures"`
	P50Ms      float64 `json:"p50_ms"`
	P99Ms      float64 `json:"p99_ms"`
}

func connect(endpoint, directory string) *clientv3.Client {
	tls, err := transport.TLSInfo{
		CertFile:      directory + "/client.pem",
		KeyFile:       directory + "/client.key",
		TrustedCAFile: directory + "/ca.pem",
	}.ClientConfig()
	check(err)
	client, err := clientv3.New(clientv3.Config{
		Endpoints: []string{endpoint}, TLS: tls, DialTimeout: 5 * time.Second,
	})
	check(err)
	return client
}

// find gives the endpoint of the leader, or of a follower.
func find(endpoints []string, directory string, leads bool) string {
	for {
		for _, endpoint := range endpoints {
			client := connect(endpoint, directory)
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			status, err := client.Status(ctx, endpoint)
			cancel()
			client.Close()
			if err == nil && status.Leader != 0 && (status.Leader == status.Header.MemberId) == leads {
				return endpoint
			}
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func run(clients []*clientv3.Client, o order) answer {
	value := strings.Repeat("x", o.ValueBytes)
	begin := time.Now().Add(time.Duration(o.WarmUpS * float64(time.Second)))
	end := begin.Add(time.Duration(o.Seconds * float64(time.Second)))
	latencies := make([][]float64, o.InFlight)
	failures := make([]int, o.InFlight)
	var group sync.WaitGroup
	for task := 0; task < o.InFlight; task++ {
		group.Add(1)
		go func(task int) {
			defer group.Done()
			client := clients[task%o.Connections]
			keys := make([]string, keysPerTask)
			for number := range keys {
				keys[number] = fmt.Sprintf("key-%d-%d", task, number)
			}
			for count := 0; ; count++ {
				began := time.Now()
				if began.After(end) {
					return
				}
				key := keys[count%keysPerTask]
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				var err error
				if o.Kind == "read" {
					_, err = client.Get(ctx, key)
				} else {
					_, err = client.Put(ctx, key, value)
				}
				cancel()
				ended := time.Now()
				switch {
				case err != nil:
					failures[task]++
				case began.After(begin) && ended.Before(end):
					latencies[task] = append(latencies[task], float64(ended.Sub(began))/1e6)
				}
			}
		}(task)
	}
	group.Wait()
	var all []float64
	result := answer{}
	for task := range latencies {
		all = append(all, latencies[task]...)
		result.Failures += failures[task]
	}
	sort.Float64s(all)
	result.Operations = len(all)
	if len(all) > 0 {
		result.P50Ms, result.P99Ms = all[len(all)/2], all[len(all)*99/100]
	}
	return result
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func main() {
	directory, endpoints := os.Args[1], os.Args[2:]
	leader, follower := find(endpoints, directory, true), find(endpoints, directory, false)
	pools := map[string][]*clientv3.Client{}
	fmt.Println(`{"ready": true}`)
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		var o order
		check(json.Unmarshal(lines.Bytes(), &o))
		endpoint := follower
		if o.ToLeader {
			endpoint = leader
		}
		for len(pools[endpoint]) < o.Connections {
			pools[endpoint] = append(pools[endpoint], connect(endpoint, directory))
		}
		said, err := json.Marshal(run(pools[endpoint], o))
		check(err)
		fmt.Println(string(said))
	}
}
