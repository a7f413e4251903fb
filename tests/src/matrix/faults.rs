//! The faults of the shop, and what a true finding of each looks like.

/// The faults that the demo's candidate has: name, endpoint (`*` for any), kinds of which one
/// will do, and what the location contains (`-` for whatever). Of several rows of a fault any
/// will do.
pub(super) const SEEDED: &str = "
utf8-500    | PUT /profile       | status error_rate | -
rounding    | POST /checkout     | body_changed   | total_cents
slow        | GET /search        | latency        | -
header-gone | GET /products      | header_missing | cache-control
type-change | GET /products/{id} | body_type      | stock
leak        | the process        | growth         | memory
leak        | the process        | growth         | heap
";

/// The harder set, likewise.
pub(super) const HARDER: &str = "
paging-off-by-one  | GET /products               | body_changed body_missing body_added | items
page-ignored       | GET /products               | body_changed body_missing body_added | items
total-of-page      | GET /products               | body_changed                         | total
n-plus-one         | GET /products               | latency                              | -
compression-gone   | GET /products               | header_missing                       | content-encoding
rare-error         | GET /products/{id}          | status error_rate                    | -
missing-as-ok      | GET /products/{id}          | status                               | -
wrong-currency     | GET /products/{id}          | body_changed                         | price_cents
locale             | GET /products/{id}          | body_changed body_type               | description
latin-1            | GET /products/{id}          | body_type body_changed               | -
mojibake           | GET /search                 | body_changed                         | name
order-changed      | GET /search                 | body_order body_changed              | items
limit-lower        | GET /search                 | body_missing                         | items
etag-ignored       | GET /products/{id}/image    | status                               | -
image-type         | GET /products/{id}/image    | header_changed                       | content-type
slow-tail          | GET /products/{id}/image    | latency                              | -
created-as-ok      | POST /accounts              | status                               | -
html-error         | POST /login                 | body_type                            | -
html-error         | POST /login                 | header_changed                       | content-type
swapped-fields     | POST /login                 | body_changed body_type               | name
cookie-for-scripts | POST /login                 | header_changed                       | sid
cookie-stays       | POST /logout                | header_missing                       | sid
stale-profile      | GET /profile                | body_changed                         | display_name
public-profile     | GET /profile                | header_changed                       | cache-control
name-cut           | PUT /profile                | body_changed                         | display_name
quote-500          | PUT /profile                | status error_rate                    | -
csrf-unchecked     | POST /cart/items            | status                               | -
retry-storm        | POST /cart/items            | status                               | -
retry-storm        | POST /cart/items            | body_changed                         | quantity
trailing-blank     | POST /cart/items            | body_changed                         | name
wrong-id           | PUT /cart/items/{id}        | status                               | -
wrong-id           | DELETE /cart/items/{id}     | status                               | -
wrong-id           | POST /cart/items            | body_changed                         | /id
lost-update        | GET /cart                   | body_changed                         | quantity
lost-update        | POST /checkout              | body_changed                         | quantity
null-for-empty     | GET /cart                   | body_type                            | items
stale-total        | GET /cart                   | body_changed                         | _cents
float-cents        | GET /cart                   | body_changed body_type               | _cents
double-charge      | POST /checkout              | header_missing                       | idempotency-replayed
double-charge      | POST /checkout              | body_changed                         | /id
location-gone      | POST /checkout              | header_missing                       | location
clock-ahead        | POST /checkout              | body_changed body_type               | created_at
oldest-first       | GET /orders                 | body_order body_changed              | orders
truncated          | GET /orders                 | body_type body_changed body_missing  | -
field-dropped      | GET /orders/{id}            | body_missing                         | discount_cents
time-zone          | GET /orders/{id}            | body_type body_changed               | created_at
last-event-gone    | GET /orders/{id}/events     | body_missing                         | -
redirect-elsewhere | POST /products/{id}/reviews | header_changed header_missing        | location
redirect-status    | POST /products/{id}/reviews | status                               | -
short-download     | GET /downloads/{name}       | body_changed body_missing            | -
upload-breaks-off  | POST /uploads               | error error_rate                     | -
descriptor-leak    | the process                 | growth                               | file_descriptors
lock-contention    | *                           | latency                              | -
";

/// Where else it shows what a fault does to the shop's state, or to the values that later
/// requests use.
pub(super) const REACHES: &str = "
paging-off-by-one  | LISTED
page-ignored       | LISTED
order-changed      | LISTED
limit-lower        | LISTED
name-cut           | GET /profile, POST /login
csrf-unchecked     | CART
retry-storm        | CART
wrong-id           | CART
lost-update        | CART
double-charge      | GET /orders, GET /orders/{id}, GET /orders/{id}/events
redirect-elsewhere | GET /reviews/{id}
redirect-status    | GET /reviews/{id}
";

/// Groups of endpoints in these: whose requests name a product that was listed, and what shows
/// what is in a cart, or was.
pub(super) const GROUPS: &str = "
LISTED | GET /products/{id}, GET /products/{id}/image, HEAD /products/{id}/image
LISTED | GET /products/{id}/review, POST /products/{id}/reviews, GET /reviews/{id}
LISTED | POST /cart/items, PUT /cart/items/{id}, GET /cart, POST /checkout
LISTED | GET /orders, GET /orders/{id}
CART   | GET /cart, POST /cart/items, PUT /cart/items/{id}, DELETE /cart/items/{id}
CART   | POST /checkout, GET /orders, GET /orders/{id}, GET /orders/{id}/events
";
