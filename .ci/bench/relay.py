"""The relay that many would write in Python: paho-mqtt in, a requests session out. Arguments: broker host, port, topic, URL."""
import os
import sys

import paho.mqtt.client as mqtt
import requests

host, port, topic, url = sys.argv[1:]
session = requests.Session()
session.headers["Authorization"] = "Bearer " + os.environ["BENCH_TOKEN"]


def on_message(client, userdata, message):
    session.post(url, json={"charging_amps": int(message.payload)}, timeout=10)


client = mqtt.Client(client_id="python")
client.on_connect = lambda client, userdata, flags, rc: client.subscribe(topic, qos=1)
client.on_message = on_message
client.connect(host, int(port))
client.loop_forever()
