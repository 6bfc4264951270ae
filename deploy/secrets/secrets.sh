#!/bin/sh
# Makes what the parts of compose.yaml share in secret, on the first start, and hands each part its own: a folder that
# its account alone may read. What the environment gives is taken instead of being made. Run again, it changes only what
# is missing, was given anew, or is a certificate that runs out or names something else.
set -eu
umask 077

SERVICE=1000 HUB=1001 DATABASE=1002 EDGE=1003 DEMO=1004

# The port as it stands in addresses: browsers leave out 443.
case "$INSET_PORT$INSET_URL_PORT" in
    443) ;;
    "$INSET_PORT:$INSET_PORT") [ "$INSET_PORT" != 443 ] || { echo "INSET_PORT is 443: set INSET_URL_PORT to nothing" >&2; exit 2; } ;;
    *) echo "INSET_URL_PORT is '$INSET_URL_PORT', and INSET_PORT is $INSET_PORT: set it to ':$INSET_PORT'" >&2; exit 2 ;;
esac
cd /secrets

# plain NAME VALUE: they become part of an address and of files, so signs that mean something there are none of theirs.
plain() {
    case "$2" in *[!A-Za-z0-9._~-]*) echo "$1: only letters, digits, '.', '_', '~' and '-', please" >&2; exit 2 ;; esac
}

# given_or_made NAME VALUE: keeps a word of the environment, or one by chance.
given_or_made() {
    if [ -n "$2" ]; then
        plain "$1" "$2"
        printf %s "$2" > "made/$1"
    elif [ ! -s "made/$1" ]; then
        openssl rand -hex 24 | tr -d '\n' > "made/$1"
    fi
}

key() {
    [ -s "made/$1" ] || openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "made/$1"
}

# hand ACCOUNT FOLDER/NAME: moves what comes on stdin to where this account alone can read it.
hand() {
    mkdir -p "${2%/*}"
    cat > made/handed
    chmod 400 made/handed
    chown "$1:$1" made/handed "${2%/*}"
    mv -f made/handed "$2"
}

mkdir -p made
given_or_made hub-token "$INSET_HUB_TOKEN"
given_or_made edge-token "$INSET_EDGE_TOKEN"
given_or_made database-password "$INSET_DATABASE_PASSWORD"
plain metrics-token "${INSET_METRICS_TOKEN:-}"
key signing.pem
key demo.pem
[ -s made/demo-webhook ] || printf 'whsec_%s' "$(openssl rand -base64 32)" > made/demo-webhook

hand $HUB hub/token < made/hub-token
hand $EDGE edge/token < made/edge-token
hand $DATABASE database/password < made/database-password
hand $SERVICE service/signing.pem < made/signing.pem
hand $SERVICE service/settings.env <<SETTINGS
INSET_DATABASE_URL=postgresql://inset:$(cat made/database-password)@database/inset
INSET_HUB__TOKEN=$(cat made/hub-token)
INSET_EDGE_TOKEN=$(cat made/edge-token)
INSET_METRICS_TOKEN=${INSET_METRICS_TOKEN:-}
SETTINGS

if [ "$INSET_DEMO" = 0 ]; then
    rm -rf service/demo.toml demo
else
    hand $DEMO demo/key.pem < made/demo.pem
    hand $DEMO demo/webhook < made/demo-webhook
    hand $SERVICE service/demo.toml <<HOST
[[hosts]]
id = "demo"
origins = ["https://fieldnotes.$INSET_DOMAIN$INSET_URL_PORT"]
[[hosts.keys]]
kid = "demo-1"
alg = "ES256"
key = """$(openssl pkey -in made/demo.pem -pubout)"""
[[hosts.webhooks]]
name = "fieldnotes"
url = "http://demo:8090/inset-events"
events = ["notebook.saved", "notebook.conflict", "session.ready", "session.ended"]
secrets = ["$(cat made/demo-webhook)"]
HOST
fi

# Certificates of this deployment's own: a CA that signs nothing else, and one certificate for all names.
names="DNS:inset.$INSET_DOMAIN,DNS:fieldnotes.$INSET_DOMAIN,DNS:nb.$INSET_DOMAIN,DNS:*.nb.$INSET_DOMAIN"
if [ ! -s made/ca.pem ]; then
    key ca.key
    openssl req -x509 -new -key made/ca.key -days 3650 -subj "/CN=Inset's local CA" -out made/ca.pem \
        -addext basicConstraints=critical,CA:TRUE,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign
fi
if [ "$(cat made/names 2> /dev/null)" != "$names" ] || ! openssl x509 -checkend 2592000 -noout -in made/edge.pem; then
    key edge.key
    printf '%s\n' "subjectAltName=$names" basicConstraints=critical,CA:FALSE keyUsage=critical,digitalSignature \
        extendedKeyUsage=serverAuth authorityKeyIdentifier=keyid > /tmp/extensions
    openssl req -new -key made/edge.key -subj "/CN=inset.$INSET_DOMAIN" -out /tmp/request.pem
    # 397 days are the most that browsers take.
    openssl x509 -req -in /tmp/request.pem -CA made/ca.pem -CAkey made/ca.key -set_serial "0x$(openssl rand -hex 16)" \
        -days 397 -extfile /tmp/extensions -out made/edge.pem
    printf %s "$names" > made/names
fi
cat made/edge.pem made/ca.pem | hand $EDGE edge/fullchain.pem
hand $EDGE edge/ca.pem < made/ca.pem
hand $EDGE edge/key.pem < made/edge.key
chmod 711 .
