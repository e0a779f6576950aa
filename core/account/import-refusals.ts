/** Why a user is not imported, with the sentence that a person reads. */
export const importRefusalTexts = {
  imported_differently: 'An account was imported for this address from other data.',
  email_taken: 'Another account has the e-mail address.',
  username_taken: 'Another account has the username.',
  customer_unknown: 'Stripe does not know the customer.',
  customer_deleted: 'The customer is deleted at Stripe.',
  customer_taken: 'The customer belongs to another account.',
} as const

export type ImportRefusal = keyof typeof importRefusalTexts

export const importRefusals = Object.keys(importRefusalTexts) as [ImportRefusal, ...ImportRefusal[]]
