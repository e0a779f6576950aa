// Written by `npm run generate` from the rows.

/**
 * What the client knows of each endpoint: method, path and words.
 * - `public`, `optional`, `account`, `key`: no credentials, an access token if there is one, an access token, an
 *   application key
 * - `query`, `body`, `raw`: what the input becomes
 * - `named`: takes an Idempotency-Key
 * - `repeats`: a repeat of a request that succeeded changes nothing more
 * - `tokens`: answers the tokens of a session
 * - `link`, `next`: the Link header, or `next` of the answer, leads to the next page
 */
export const endpoints = {
  'account.get': 'GET /v1/user account repeats',
  'account.export': 'POST /v1/user/export account body repeats next',
  'account.delete': 'DELETE /v1/user account body repeats',
  'account.activate': 'POST /v1/auth/activate public body repeats',
  'account.resendCode': 'POST /v1/auth/resend public body repeats',
  'account.setFlags': 'PUT /v1/user/flags account body repeats',
  'account.setAlerts': 'PUT /v1/user/alerts account body repeats',
  'sessions.login': 'POST /v1/auth/login public body tokens',
  'sessions.loginWithPasskey': 'POST /v1/auth/login/passkey public body tokens',
  'sessions.refresh': 'POST /v1/auth/refresh public body repeats tokens',
  'sessions.confirm': 'POST /v1/auth/confirm account body repeats',
  'sessions.logout': 'POST /v1/auth/logout optional body repeats',
  'sessions.list': 'GET /v1/auth/sessions account repeats',
  'sessions.end': 'DELETE /v1/auth/sessions/{id} account repeats',
  'password.change': 'PUT /v1/user/password account body repeats',
  'password.requestReset': 'POST /v1/user/resetPassword public body repeats',
  'password.reset': 'PUT /v1/user/resetPassword public body repeats',
  'twoFactor.enrol': 'POST /v1/auth/2FA account repeats',
  'twoFactor.verify': 'POST /v1/auth/verify2FA account body repeats',
  'twoFactor.remove': 'DELETE /v1/auth/2FA account body repeats',
  'passkeys.challenge': 'POST /v1/auth/passkeys/options/get public repeats',
  'passkeys.options': 'POST /v1/auth/passkeys/options/create account repeats',
  'passkeys.add': 'POST /v1/auth/passkeys account body repeats',
  'passkeys.list': 'GET /v1/auth/passkeys account repeats',
  'passkeys.rename': 'PUT /v1/auth/passkeys/{id} account body repeats',
  'passkeys.remove': 'DELETE /v1/auth/passkeys/{id} account repeats',
  'recovery.requestCode': 'POST /v1/auth/recovery/code public body repeats',
  'recovery.begin': 'POST /v1/auth/recovery public body repeats',
  'recovery.finish': 'PUT /v1/auth/recovery public body repeats',
  'recovery.stop': 'DELETE /v1/auth/recovery account body repeats',
  'recovery.stopByLink': 'POST /v1/auth/recovery/stop public body repeats',
  'keys.list': 'GET /v1/keys account repeats',
  'keys.create': 'POST /v1/keys account body named repeats',
  'keys.change': 'PUT /v1/keys/{id} account body repeats',
  'keys.rotate': 'POST /v1/keys/{id}/rotate account body named repeats',
  'keys.delete': 'DELETE /v1/keys/{id} account repeats',
  'usage.consume': 'POST /v1/usage key body named repeats',
  'usage.consumeBatch': 'POST /v1/usage/batch key body named repeats',
  'usage.balance': 'GET /v1/usage/balance key repeats',
  'usage.get': 'GET /v1/usage account query repeats',
  'reservations.create': 'POST /v1/usage/reservations key body named repeats',
  'reservations.settle': 'POST /v1/usage/reservations/{id}/settle key body named repeats',
  'reservations.return': 'DELETE /v1/usage/reservations/{id} key named repeats',
  'cards.change': 'PUT /v1/user/card account body named repeats',
  'cards.verify': 'POST /api/users/current/verify-payment account body named repeats',
  'cards.list': 'GET /api/users/current/list-payment-methods account repeats',
  'cards.remove': 'DELETE /api/users/current/payment-method/{id} account repeats',
  'cards.customer': 'GET /api/users/current/retrieve account repeats',
  'bundle.signUp': 'POST /v1/user/bundle account body named repeats',
  'bundle.change': 'PUT /v1/user/bundle/{bundleName} account named repeats',
  'bundle.buy': 'POST /v1/user/buy account named repeats',
  'purchases.get': 'GET /v1/purchase/{id} account repeats',
  'renewal.set': 'PUT /v1/user/renewal account body repeats',
  'renewal.useLink': 'POST /v1/user/renewal/link public body repeats',
  'invoices.list': 'GET /v1/invoice/list account query repeats link',
  'invoices.get': 'GET /v1/invoice/{id} account repeats',
  'ledger.list': 'GET /v1/ledger account query repeats link',
  'notices.list': 'GET /api/users/current/notifications account query repeats link',
  'users.create': 'POST /rest/users public body repeats',
  'users.get': 'GET /rest/users/{username} account repeats',
  'users.update': 'PUT /rest/users/{username} account body repeats',
  'users.getCurrent': 'GET /api/users/current account repeats',
  'users.updateCurrent': 'PUT /api/users/current account body repeats',
  'users.deactivate': 'PUT /api/users/current/deactivate account repeats',
  'users.restore': 'POST /api/users/restore public body repeats',
  'webhooks.stripe': 'POST /webhooks/stripe public raw repeats',
  'service.health': 'GET /health public repeats',
  'service.openapi': 'GET /openapi.json public repeats',
} as const

export type EndpointName = keyof typeof endpoints
