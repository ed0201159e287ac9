module tesla2mqtt

go 1.26
