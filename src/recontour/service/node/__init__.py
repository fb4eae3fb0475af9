"""The node: what other machines send to a site, and what it sends to them.

receive      the receiver: C-STORE and C-ECHO
server       its connections: limits, time limits, TLS
waiting      associations that wait until there is something to do
keeping      files of what arrives
arrivals     what arrived, in the database
complete     whether a series is complete
query        how many images another machine has of it
send         to other machines: C-STORE, C-ECHO
commitment   another machine commits to keeping what it was sent
tls          certificates
mended       what we would not have of pynetdicom
findings     what can be found on the way
"""
