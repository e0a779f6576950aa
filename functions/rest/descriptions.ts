import { markdown } from '../http/markdown.ts'

/** What client authors must know of each endpoint, in Markdown, by the name of its row. */
export const descriptions = {
  createUser: markdown(
    'Takes JSON or a form. A mail brings the code that confirms the address with `POST /v1/auth/activate`. Nobody can sign in',
    'before that: the password waits, encrypted, and the identity provider gets it with the confirmation.',
    '',
    '- 409: another account has this username or this e-mail address.',
    '- A mailbox gets six such mails an hour, whatever dots or plus tags its address is written with. The mails of further',
    'registrations follow in the next hours.',
    '- 429: too many registrations came from this network address within an hour, or five accounts began with addresses of',
    'this mailbox today. Wait for Retry-After.',
    '- After a crash, a time-out or a 503 send the same request again: until the address is confirmed, and for an hour at',
    'most, it is answered 201 again and mails nothing more.',
    '- **A mistyped address**: until it is confirmed, the same `username` and `password` with another `email` move the account',
    'there, and a code is mailed to it; the earlier code is void.',
    '- An account whose address nobody confirms within 7 days is removed, and its names are free.',
  ),
  getUser: markdown(
    "The account in Skylink's shape. `username` in the path is the caller's own, in any case; every other name is answered",
    'with 404, whether there is such an account or not.',
    '',
    '- `allusage` is the units used over all application keys.',
    '- `lastlogin` is null before the first sign-in.',
    '- `role` is `free` until the first purchase, then `paid`.',
    '- `status` says whether the e-mail address is confirmed (`verified`).',
    '- `type` is `card` while there is a default card, else `invoice`.',
  ),
  updateUser: markdown(
    'Takes JSON or a form, with one field or both; they change together or not at all. An empty field is absent. `username` in the path is the',
    "caller's own, in any case.",
    '',
    '- A new **username** frees the old one. 409: another account has it. A repeat, whose path still has the old name, is',
    '200 again.',
    '- The **address** stays until the code that is mailed to the new address is sent to',
    '`POST /v1/auth/activate`; the old address gets a mail. Whether the new address is taken shows only on activation.',
    '- The same change of the address within a minute mails nothing again; later it mails another code.',
    'So does `POST /v1/auth/resend` with the new address.',
    '- Setting the **present address** again cancels a change that waits, and ends `emailUndeliverable` of `GET /v1/user`.',
    '- 429: the address can be changed 5 times an hour. Wait for Retry-After.',
  ),
  createApp: markdown(
    "Takes JSON or a form. Makes the same key as `POST /v1/keys`, with the names of Skylink's page: `appid` is the id of the",
    'key, `appname` its name, and `corsurl` the domain from which browsers use it, which is kept in `metadata` of `GET',
    '/v1/keys`, where services find it. Bursar itself refuses no origin. `key` is the key that an application sends; it is',
    'shown only here. With an Idempotency-Key a repeat shows it again.',
    '',
    '- 409 `key_limit_reached`: revoke another key first.',
  ),
  getApp: markdown(
    "One key of the account by its `appid`; `default` is the account's first key. `deleted` is false and `parent` is `root`,",
    'as there are no alias keys, and a revoked key is 404. `update` is when its name or a setting was changed last.',
  ),
  updateApp: markdown(
    'Takes JSON or a form, with one field or both. An empty field is absent; null takes `corsurl` away. The other settings',
    'of the key stay; `PUT /v1/keys/{id}` changes them.',
  ),
  deleteApp: markdown(
    'The key is refused from the next request on. For 48 hours a repeat is 200 again. 409 `default_key_required`: the',
    'first key can only be replaced, with `POST /v1/keys/default/rotate`.',
  ),
}
