/**
 * The folders whose tests are measured, and the tests that are asked. Money, cards and quota have tests whose table is in
 * memory, which take a hundredth of the time of those that send requests; these hold the guarantees, so they are asked.
 */
export const TESTS: Record<string, string[]> = {
  'core/quota': [
    'test/core/{ahead,archive,consume-outage,credential-cache,day-snapshot,due,eviction,expire-lots}.test.ts',
    'test/core/{group-commit,key-limits,key-settings,lease-expiry,limit-change,lots,quota-races}.test.ts',
    'test/core/{quota-parts,refusal,ring-size,spending-outages,tags,thresholds,usage}.test.ts',
    'test/core/stored-by-{flows,spending}.test.ts',
    'test/machine/{leases,limits,lots,reservations}-random.test.ts',
  ],
  'core/purchases': [
    'test/core/{catalogue,compare-lists,day-of-month,decide,invoices,owed-units,purchase-copies,purchase-parts}.test.ts',
    'test/core/{purchase-races,rate-limit,reactivate,renewal-changes,renewal-decision}.test.ts',
    'test/core/{rate-budget,renewal-limits,renewal-texts}.test.ts',
    'test/core/outages.deep.test.ts',
    'test/core/stored-by-{cards,flows,purchases}.test.ts',
    'test/machine/repaired-failures.test.ts',
    'test/ops/{reconcile,reconcile-account,refund}.test.ts',
    'test/conformance/lost-purchases.deep.test.ts',
  ],
  'core/cards': [
    'test/core/{card-changes,card-parts,card-races,card-tries}.test.ts',
    'test/core/outages.deep.test.ts',
    'test/core/stored-by-{cards,flows,purchases}.test.ts',
    'test/machine/repaired-failures.test.ts',
    'test/api/verify-payment.test.ts',
    'test/ops/{block-card,list-blocked-cards,unblock-card.deep}.test.ts',
    'test/conformance/card-limits.deep.test.ts',
  ],
  'core/keys': [
    'test/core/{application-keys,credential-cache,holder,key-limits,key-settings,key-text}.test.ts',
    'test/core/{access-outages,limit-change,services}.test.ts',
    'test/jobs/reseal.test.ts',
    'test/v1/{activate,change-key,change-password,create-key,delete-key,key-login,list-keys,rotate-key}.test.ts',
    'test/rest/{create,delete,get,update}-app.test.ts',
    'test/conformance/keys.test.ts',
    'test/ops/{add-service,list-services,revoke-service}.test.ts',
    'test/ops/{add-admin-key,list-admin-keys,revoke-admin-key}.deep.test.ts',
  ],
  'core/credentials': [
    'test/core/{asked-mails,first-sign-in,holder,mail-flood,mailed-codes,passkeys}.test.ts',
    'test/core/{access-outages,password-hash,password-tries}.test.ts',
    'test/core/{recovery,reset,session-list,sign-in,stranger-tries,two-factor,typed-codes}.test.ts',
    'test/v1/{activate,change-password,confirm-session,login,logout,refresh,register,resend}.test.ts',
    'test/v1/{enrol,verify,remove}-two-factor.test.ts',
    'test/v1/{request-password-reset,reset-password,end-session,list-sessions,key-login}.test.ts',
    'test/v1/{add,list,remove,rename}-passkey{,s}.test.ts',
    'test/v1/{passkey-challenge,passkey-login,passkey-options}.test.ts',
    'test/v1/{begin,finish,request,stop}-recovery{,-by-link}.test.ts',
    'test/conformance/typed-codes.test.ts',
    'test/conformance/{password-lock,reset,two-factor}.deep.test.ts',
    'test/ops/{keep-two-factor,reset-two-factor,sign-out,unlock}.deep.test.ts',
  ],
  'functions/http': [
    'test/http/*.test.ts',
    'test/conformance/{access-token,amounts,behind-cloudfront,empty-fields,endpoint,guards}.test.ts',
    'test/conformance/{job-runs,openapi,parsing}.test.ts',
    'test/conformance/{request-callers,row-facts,session-cookies,shapes,source-address,source-name}.test.ts',
    'test/conformance/validate.test.ts',
    'test/infra/{live,log-lines}.test.ts',
    'test/v1/{consume,get-config,get-user,list-ledger,login,refresh,change-password}.test.ts',
    'test/ops/{add-operator,whoami}.test.ts',
    'test/jobs/{renew,sweep}.test.ts',
  ],
}
export const FOLDERS = Object.keys(TESTS)

/** They read their settings while they are loaded, so only a test loads them. */
export const HANDLERS = [
  'functions/http/health.ts',
  'functions/http/openapi-document.ts',
  'functions/http/access-token.ts',
]
