export interface Person {
  username: string
  email: string
  password: string
}

export interface SignedInPerson extends Person {
  accountId: string
  accessToken: string
  refreshToken: string
}

let people = 0

/** A person with a name and an address that no other test uses. */
export function newPerson(overrides: Partial<Person> = {}): Person {
  people += 1
  const username = `person${people}`
  return { username, email: `${username}@mail.example`, password: 'Hello123!', ...overrides }
}
