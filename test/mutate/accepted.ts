/** Survivors that no test should kill, each with the reason. Both texts are as `npm run mutate` prints them. */
export const ACCEPTED: { file: string; original: string; replacement: string; reason: string }[] = [
  {
    file: 'core/cards/velocity.ts',
    original: 'atMs > nowMs - withinMs',
    replacement: 'atMs >= nowMs - withinMs',
    reason: 'a try of exactly that age ends its own wait now, so it counts for a wait of 0',
  },
  {
    file: 'core/purchases/check-quotas.ts',
    original: '!(error instanceof DomainError)',
    replacement: 'false',
    reason: 'another error has none of the codes that are looked for, and is thrown as well',
  },
  {
    file: 'core/quota/apply-ledger.ts',
    original: 'next < 0',
    replacement: 'next <= 0',
    reason: 'the search begins with the second entry, so it never finds the first',
  },
  {
    file: 'core/quota/group-commit.ts',
    original: 'requestId === undefined',
    replacement: 'requestId !== undefined',
    reason: 'the name of a lane only has to tell requests with and without an id apart',
  },
]
