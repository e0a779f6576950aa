/** The pages by the name `localhost`, because browsers make no passkey for an IP address. */
export const pagesUrl = (url: string): string => url.replace('127.0.0.1', 'localhost')
