package shape

import "strings"

// What members of JSON and keys of unmapped are called that hold a person's
// data. Names are in lower case, without _, - and spaces. One that may mean
// several things belongs to several groups.
var byName = map[string][]group{
	"email": {groupEmail}, "emails": {groupEmail}, "emailaddr": {groupEmail}, "emailaddress": {groupEmail},
	"mail": {groupEmail}, "useremail": {groupEmail}, "newemail": {groupEmail}, "oldemail": {groupEmail},
	"previousemail": {groupEmail}, "contactemail": {groupEmail}, "emailnorm": {groupEmail},
	"recipient": {groupEmail, groupPhone}, "recipients": {groupEmail, groupPhone},
	"destination": {groupEmail, groupPhone}, "loginhint": {groupEmail, groupUserName, groupPhone},
	"picture": {groupEmail, groupFullName}, "avatar": {groupEmail, groupFullName}, "avatarurl": {groupEmail, groupFullName},

	"username": {groupUserName}, "login": {groupUserName}, "loginname": {groupUserName},
	"preferredusername": {groupUserName}, "upn": {groupUserName, groupEmail}, "userprincipalname": {groupUserName, groupEmail},
	"samaccountname": {groupUserName}, "screenname": {groupUserName}, "newusername": {groupUserName},
	"oldusername": {groupUserName}, "usernamenorm": {groupUserName}, "sourceidentity": {groupUserName},
	"rolesessionname": {groupUserName}, "useralias": {groupUserName},
	"user": {groupUserName, groupUserID}, "member": {groupUserName, groupUserID},
	"nickname": {groupUserName, groupFullName},

	"userid": {groupUserID}, "usersub": {groupUserID}, "sub": {groupUserID}, "useruid": {groupUserID},
	"identityid": {groupUserID}, "identity": {groupUserID}, "externalid": {groupUserID}, "userarn": {groupUserID},
	"principalid": {groupUserID}, "primaryuserid": {groupUserID}, "secondaryuserid": {groupUserID},
	"targetuserid": {groupUserID}, "subject": {groupUserID}, "provideruserid": {groupUserID},
	"onbehalfof": {groupUserID}, "mfaidentifier": {groupUserID},

	"fullname": {groupFullName}, "displayname": {groupFullName}, "givenname": {groupFullName},
	"familyname": {groupFullName}, "firstname": {groupFullName}, "lastname": {groupFullName},
	"middlename": {groupFullName}, "surname": {groupFullName}, "realname": {groupFullName},
	"nameformatted": {groupFullName}, "birthdate": {groupFullName}, "dateofbirth": {groupFullName},

	"phone": {groupPhone}, "phonenumber": {groupPhone}, "phonee164": {groupPhone}, "mobile": {groupPhone},
	"mobilephone": {groupPhone}, "mobilenumber": {groupPhone}, "msisdn": {groupPhone}, "tel": {groupPhone},
	"telephone": {groupPhone}, "cell": {groupPhone}, "cellphone": {groupPhone}, "homephone": {groupPhone}, "workphone": {groupPhone},

	"ip": {groupIP}, "ipaddr": {groupIP}, "ipaddress": {groupIP}, "sourceip": {groupIP}, "sourceipaddress": {groupIP},
	"clientip": {groupIP}, "remoteip": {groupIP}, "srcip": {groupIP}, "xforwardedfor": {groupIP}, "remoteaddr": {groupIP},
	"remoteaddress": {groupIP}, "lastip": {groupIP},

	"city": {groupLocation}, "cityname": {groupLocation}, "country": {groupLocation}, "countrycode": {groupLocation},
	"countrycode3": {groupLocation}, "countryname": {groupLocation}, "continent": {groupLocation},
	"continentcode": {groupLocation}, "latitude": {groupLocation}, "longitude": {groupLocation}, "lat": {groupLocation},
	"lon": {groupLocation}, "long": {groupLocation}, "lng": {groupLocation}, "timezone": {groupLocation},
	"zoneinfo": {groupLocation}, "geo": {groupLocation}, "geoip": {groupLocation}, "location": {groupLocation},
	"locationinfo": {groupLocation}, "subdivisioncode": {groupLocation}, "subdivisionname": {groupLocation},
	"address": {groupLocation}, "streetaddress": {groupLocation}, "postalcode": {groupLocation}, "zip": {groupLocation},
	"zipcode": {groupLocation}, "locality": {groupLocation},

	"useragent": {groupUserAgent}, "browser": {groupUserAgent}, "devicename": {groupUserAgent},

	"sessionid": {groupSession}, "sid": {groupSession}, "session": {groupSession}, "sessiontoken": {groupSession},
	"accesskeyid": {groupSession}, "jti": {groupSession},
}

// ofPerson are members that hold a person: "name" and "id" in them are a
// person's.
var ofPerson = map[string]bool{
	"user": true, "users": true, "actor": true, "inviter": true, "invitee": true, "member": true, "members": true,
	"profile": true, "profiledata": true, "owner": true, "person": true, "author": true, "usermetadata": true,
}

// groupsOf returns the groups of what stands under name in a member called
// parent.
func groupsOf(parent, name string) []group {
	name = plainName(name)
	if g := byName[name]; g != nil {
		return g
	}
	if name != "name" && name != "id" || !ofPerson[plainName(parent)] {
		return nil
	}
	if name == "id" {
		return []group{groupUserID}
	}
	return []group{groupFullName, groupUserName}
}

// plainName is a name as the tables have it: of custom:phone_number, what is
// behind the colon.
func plainName(s string) string {
	s = s[strings.LastIndexByte(s, ':')+1:]
	plain := true
	for i := range len(s) {
		c := s[i]
		plain = plain && ('a' <= c && c <= 'z' || '0' <= c && c <= '9')
	}
	if plain {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r == '_' || r == '-' || r == ' ' {
			return -1
		}
		return fold(r)
	}, s)
}

// lastNames splits a dotted key into its last name and the one before.
func lastNames(key string) (parent, name string) {
	i := strings.LastIndexByte(key, '.')
	if i < 0 {
		return "", key
	}
	parent, name = key[:i], key[i+1:]
	return parent[strings.LastIndexByte(parent, '.')+1:], name
}
