/**
 * The folders whose tests are measured, and the tests that are asked: those that run the folder's code, the fast ones
 * first. A mutant that no other test would notice is one that its folder's tests should have noticed.
 */
export const TESTS: Record<string, string[]> = {
  'core/quota': [
    'test/core/{consume-outage,decide,due,group-commit,key-limits,keys,limit-change,ring-size,tags}.test.ts',
    'test/core/consume.deep.test.ts',
    'test/conformance/services.deep.test.ts',
    'test/machine/{consume,leases,limits,lots,reservations}-random.test.ts',
    'test/v1/{balance,buy,consume,consume-batch,lease,renew-lease,return-lease,set-alerts,usage}.test.ts',
    'test/v1/{reserve,return-reservation,settle-reservation,change-key,delete-key,rotate-key}.test.ts',
    'test/jobs/{check-quotas,count-use,expire-lots.deep,expire-reservations,grant-monthly.deep,tell-alerts}.test.ts',
    'test/v1/{register,set-renewal}.test.ts',
    'test/ops/{credit,debit,grant,take}.test.ts',
  ],
  'core/purchases': [
    'test/core/{catalogue,day-of-month,decide,rate-limit,reactivate,renewal-limits,renewal-texts}.test.ts',
    'test/v1/{buy,change-bundle,get-invoice,get-purchase,list-invoices,set-renewal,sign-up-for-bundle}.test.ts',
    'test/v1/{change-card,use-renewal-link}.test.ts',
    'test/api/{billing-history,get-billing-settings,last-invoice,set-billing-settings,verify-payment}.test.ts',
    'test/jobs/{check-quotas,renew,settle-payments,sweep}.test.ts',
    'test/webhooks/*.test.ts',
    'test/conformance/{money,reconciliation,renewal}.deep.test.ts',
    'test/ops/{credit,reconcile,reconcile-account,refund,resume.deep,take}.test.ts',
  ],
  'core/cards': [
    'test/api/{delete-payment-method,list-payment-methods,verify-payment}.test.ts',
    'test/v1/{buy,change-card,set-renewal}.test.ts',
    'test/jobs/{settle-payments,sweep}.test.ts',
    'test/webhooks/*.test.ts',
    'test/ops/{block-card,list-blocked-cards,unblock-card.deep}.test.ts',
    'test/conformance/{blocked-cards,card-limits,cards,shared-limits}.deep.test.ts',
  ],
  'core/keys': [
    'test/core/{key-limits,key-settings,key-text,keys}.test.ts',
    'test/v1/{activate,change-key,create-key,delete-key,key-login,list-keys,rotate-key}.test.ts',
    'test/rest/{create,delete,get,update}-app.test.ts',
    'test/conformance/keys.test.ts',
    'test/ops/{add-service,list-services,revoke-service}.test.ts',
    'test/ops/{add-admin-key,list-admin-keys,revoke-admin-key}.deep.test.ts',
  ],
  'core/credentials': [
    'test/core/{holder,mail-flood,password-hash,typed-codes}.test.ts',
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
    'test/conformance/{amounts,behind-cloudfront,empty-fields,openapi,session-cookies}.test.ts',
    'test/conformance/{source-address,source-name,validate}.test.ts',
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
