// The server that downdraft is measured beside: a controller-runtime webhook that decodes object and old object into
// their Go types and allows. It prints "listening" when it takes connections and ends when its standard input does.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/log"
	"sigs.k8s.io/controller-runtime/pkg/log/zap"
	"sigs.k8s.io/controller-runtime/pkg/webhook"
	"sigs.k8s.io/controller-runtime/pkg/webhook/admission"
)

type allow struct {
	decoder admission.Decoder
}

func (a allow) Handle(_ context.Context, request admission.Request) admission.Response {
	var desired, current appsv1.Deployment
	if err := a.decoder.DecodeRaw(request.Object, &desired); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	if err := a.decoder.DecodeRaw(request.OldObject, &current); err != nil {
		return admission.Errored(http.StatusBadRequest, err)
	}
	return admission.Allowed("SameRules")
}

func main() {
	port := flag.Int("port", 0, "port to listen on, on 127.0.0.1")
	certificates := flag.String("certificates", "", "folder of tls.crt and tls.key")
	flag.Parse()
	log.SetLogger(zap.New())
	scheme := runtime.NewScheme()
	if err := appsv1.AddToScheme(scheme); err != nil {
		fail(err)
	}
	server := webhook.NewServer(webhook.Options{Host: "127.0.0.1", Port: *port, CertDir: *certificates})
	server.Register("/mutate", &admission.Webhook{Handler: allow{admission.NewDecoder(scheme)}})
	ctx, stop := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		stop()
	}()
	go announce(ctx, server)
	if err := server.Start(ctx); err != nil {
		fail(err)
	}
}

// announce waits until the server takes connections; the bench gives up when it never does.
func announce(ctx context.Context, server webhook.Server) {
	started := server.StartedChecker()
	for ctx.Err() == nil {
		if started(nil) == nil {
			fmt.Println("listening")
			return
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func fail(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
