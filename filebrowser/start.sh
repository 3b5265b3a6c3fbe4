#!/bin/sh
# Start File Browser; on the first start, make its administrator with the password of filebrowser/.env.
set -eu

if [ ! -e "${FB_DATABASE:-/database/filebrowser.db}" ]; then
  FB_USERNAME="admin"
  # Without these it makes up a password and writes it to the log.
  FB_PASSWORD=$(filebrowser hash "${FILEBROWSER_ADMIN_PASSWORD:?run make env}")
  export FB_USERNAME FB_PASSWORD
fi
unset FILEBROWSER_ADMIN_PASSWORD
exec filebrowser --config "${FB_CONFIG:-/etc/filebrowser/filebrowser.json}"
