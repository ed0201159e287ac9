// Package enroll makes keys for cars and asks cars, over Bluetooth, to take them. A key can be given one role only: that of a
// charging manager, who may read the car and command its charging, and neither open it nor drive it. What else a car offers, such
// as a driver's key, is not in here, so that no mistake and no attacker can have it asked for.
//
// Whether a car takes a key is decided at the car, with a key card; this package can but ask and look.
package enroll

import (
	"context"
	"crypto/ecdh"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"time"

	"github.com/teslamotors/vehicle-command/pkg/connector"
	"github.com/teslamotors/vehicle-command/pkg/protocol"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/keys"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/universalmessage"
	"github.com/teslamotors/vehicle-command/pkg/protocol/protobuf/vcsec"
	"github.com/teslamotors/vehicle-command/pkg/vehicle"
)

// answerTime bounds the wait for what the car answers at once.
const answerTime = 5 * time.Second

// ErrNoAnswer means that the car is connected and says nothing.
var ErrNoAnswer = errors.New("the car did not answer")

// Generate makes a private key in a file that was not there, for the eyes of its owner only. The folder is made too.
func Generate(path string) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	if err != nil {
		return err
	}
	der, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	err = pem.Encode(f, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(path)) // half a key is none
	}
	return nil
}

// Known tells whether the car knows the key with this public half. It asks the part of the car that never sleeps, and so wakes
// nothing.
func Known(ctx context.Context, conn connector.Connector, public []byte) (known bool, err error) {
	err = with(ctx, conn, public, func(ctx context.Context, v *vehicle.Vehicle, key *ecdh.PublicKey) error {
		_, err := v.SessionInfo(ctx, key, universalmessage.Domain_DOMAIN_VEHICLE_SECURITY)
		return err
	})
	if errors.Is(err, protocol.ErrKeyNotPaired) {
		return false, nil
	}
	return err == nil, err
}

// Ask asks the car to take the key, as a charging manager's. That it was asked is all that is known then: see Known.
func Ask(ctx context.Context, conn connector.Connector, public []byte) error {
	return with(ctx, conn, public, func(ctx context.Context, v *vehicle.Vehicle, key *ecdh.PublicKey) error {
		return v.SendAddKeyRequestWithRole(ctx, key, keys.Role_ROLE_CHARGING_MANAGER, vcsec.KeyFormFactor_KEY_FORM_FACTOR_CLOUD_KEY)
	})
}

// with does something with the library's end of a connection, which needs no private key for this. conn is closed afterwards.
func with(ctx context.Context, conn connector.Connector, public []byte, do func(context.Context, *vehicle.Vehicle, *ecdh.PublicKey) error) error {
	key, err := ecdh.P256().NewPublicKey(public)
	if err != nil {
		return err
	}
	v, err := vehicle.NewVehicle(conn, nil, nil)
	if err != nil {
		return err
	}
	// It only starts a goroutine, which a context that has ended would leave behind.
	if err := v.Connect(context.WithoutCancel(ctx)); err != nil {
		return err
	}
	defer v.Disconnect()
	ctx, cancel := context.WithTimeoutCause(ctx, answerTime, ErrNoAnswer)
	defer cancel()
	err = do(ctx, v, key)
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}
