/** Survivors that no test should kill, each with the reason. Both texts are as `npm run mutate` prints them. */
export const ACCEPTED: { file: string; original: string; replacement: string; reason: string }[] = []
